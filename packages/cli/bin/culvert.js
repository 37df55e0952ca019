#!/usr/bin/env node
// Committed, not built: package managers link commands when they install, which is before anything is built.
import "../dist/main.js";
