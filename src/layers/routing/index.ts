export { Directory, candidateOf, type DirectoryParts, type LocalModel } from "./directory.ts";
export { compileGlob } from "./glob.ts";
export { keepOpen } from "./keep-open.ts";
export { createPlanner, plan } from "./plan.ts";
export { likelyTokens, type Surroundings } from "./routes.ts";
export { tryEach } from "./try-each.ts";
export { understand } from "./understand.ts";
export { ResponseTimes } from "./response-times.ts";
