export { audit, outcomeOf } from "./audit.ts";
export type { AuditParts, OpenedRequest, RequestJournal, RequestTally } from "./audit.ts";
export { CHAIN_START, GENESIS, hashLine, parseLineHead } from "./chain.ts";
export type { ChainPosition } from "./chain.ts";
export { ContentDamaged, type Part } from "./content/content-file.ts";
export { findContents, type KeptContents } from "./content/content-reader.ts";
export { contentFolder, ContentStore } from "./content/content-store.ts";
export { hashesOnly, type ContentRecorder } from "./content/recording.ts";
export { DRIFT_TOLD, driftOf, hasDrifted } from "./drift.ts";
export { entryLine } from "./entry.ts";
export { FileSink } from "./file-sink.ts";
export type { FileSinkOptions, Rotation } from "./file-sink.ts";
export { openRequestFacts, recordInterrupted } from "./interrupted.ts";
export type { InterruptedParts, InterruptedRequest, OpenRequestFacts } from "./interrupted.ts";
export { METRICS_CONTENT_TYPE, metricsText } from "./metrics.ts";
export { MovingSink } from "./moving-sink.ts";
export { printable } from "./printable.ts";
export { readTrail } from "./read-trail.ts";
export type { ReadTrailOptions, TrailReading } from "./read-trail.ts";
export { recordedCosts } from "./recorded-costs.ts";
export { fromErrand, RemoteSink, toErrand } from "./remote-sink.ts";
export type { LineErrand } from "./remote-sink.ts";
export type { RotationPeriod } from "./rotation-period.ts";
export type { AuditAlarm } from "./seal.ts";
export { Sealer } from "./sealer.ts";
export type { SealKeeper, SealPlace, SealStatus } from "./sealer.ts";
export { auditFiles, readPruned } from "./segments.ts";
export type { AuditFacts, AuditHealth, AuditSink } from "./sink.ts";
export { StatsChanges } from "./stats-changes.ts";
export { createStatsText } from "./stats-text.ts";
export { createStats } from "./stats.ts";
export type {
  AgentStats,
  ConfigStatus,
  LimitStatus,
  ModelStats,
  OverloadStatus,
  ProviderStats,
  ProviderStatus,
  ServerStatus,
  StatsDocument,
  StatsParts,
  WindowStats,
} from "./stats.ts";
export { lastLines } from "./tail.ts";
export { noCounts, Tally } from "./tally.ts";
export { linesBackwards, trailSince } from "./trail-since.ts";
export type { LinesSince } from "./trail-since.ts";
export type { AgentCounts, PriceDrift, TallySnapshot } from "./tally.ts";
export { parseTrailEntry } from "./trail-entry.ts";
export type { TrailAttempt, TrailEntry, TrailUsage } from "./trail-entry.ts";
export { readSeals, withoutSeals } from "./seal-check.ts";
export type { SealCheck } from "./seal-check.ts";
export { verifyAudit } from "./verify.ts";
export type { AuditBreak, BreakRule, KnownLine, VerifyResult } from "./verify.ts";
