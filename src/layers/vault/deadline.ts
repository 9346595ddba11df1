/** Runs `run` after `ms` milliseconds unless the returned function is called before. */
export type StartTimer = (ms: number, run: () => void) => () => void;

/** The system's timers. They do not keep the process alive. */
export const systemTimer: StartTimer = (ms, run) => {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
};
