// Times as a person in the configured zone reads them: `2026-11-23T18:00:00.000+01:00`.

const QUARTER_HOUR_MS = 900_000;

/** A formatter for one IANA zone. Zones change their offset on quarter hours only, so it is looked up once in each. */
export function createZonedTime(timezone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  let quarter = Number.NaN;
  let offsetMs = 0;
  let suffix = "";
  return (ms) => {
    const now = Math.floor(ms / QUARTER_HOUR_MS);
    if (now !== quarter) {
      quarter = now;
      const name = format.formatToParts(ms).find((part) => part.type === "timeZoneName")?.value ?? "GMT";
      const match = /GMT([+-])(\d\d):(\d\d)/.exec(name);
      const minutes = match === null ? 0 : Number(match[2]) * 60 + Number(match[3]);
      offsetMs = (match?.[1] === "-" ? -minutes : minutes) * 60_000;
      suffix = match === null ? "+00:00" : `${match[1]}${match[2]}:${match[3]}`;
    }
    return new Date(ms + offsetMs).toISOString().replace("Z", suffix);
  };
}
