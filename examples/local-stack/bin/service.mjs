#!/usr/bin/env node
import { runServiceProcess } from '../dist/remote/run-service-process.js';

await runServiceProcess();
