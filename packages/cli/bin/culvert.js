#!/usr/bin/env -S node --max-semi-space-size=1 --initial-old-space-size=16 --optimize-for-size
// Committed, not built: package managers link commands when they install, which is before anything is built.
// The flags: a bulk transfer makes few objects, and many buffers that V8 counts against a heap that is otherwise tiny. By
// itself it would let them pile up and then run a full collection, 20 times a second. A small young generation frees
// them early and cheaply: a third less CPU and a quarter less memory for the same transfer (docs/performance.md).
// And what the engine took at its worst moment it gives back only if it is told to optimize for size.
import "../dist/main.js";
