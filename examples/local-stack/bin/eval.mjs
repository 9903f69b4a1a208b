#!/usr/bin/env node
import { evaluateThisProject } from '../dist/evaluation-run.js';

process.exitCode = await evaluateThisProject();
