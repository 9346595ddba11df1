import { afterEach, describe, expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import type { Finish, Keyed } from "../request.ts";
import { chat } from "../wire/chat/index.ts";
