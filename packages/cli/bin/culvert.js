#!/usr/bin/env -S node --initial-old-space-size=48
// Committed, not built: package managers link commands when they install, which is before anything is built.
// The flag: V8 counts the buffers of a bulk transfer against a heap that is otherwise tiny, and would run a full
// collection 20 times a second for them. With a larger first limit the same transfer costs a quarter less CPU
// (docs/performance.md), and no more memory.
import "../dist/main.js";
