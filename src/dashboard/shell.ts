// The two documents of the dashboard: an empty one that its script fills, and one that says how to get in.

/** Nothing from elsewhere, no script or style in the document itself, no text that becomes code, no frame around it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export const htmlHeaders = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": policy,
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
} as const;

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E" +
  "%3Crect width='32' height='32' rx='8' fill='%232f5d50'/%3E" +
  "%3Cpath d='M16 6l8 3.4v6.2c0 5-3.3 8.6-8 10.4-4.7-1.8-8-5.4-8-10.4V9.4z' fill='%23fff'/%3E%3C/svg%3E";

/** `crossorigin` and `module`: a browser asks for both as a page reads, not as it shows an image, which the door refuses. */
export function shellPage(version: string): string {
  return html(
    "Sanctum",
    `<link rel="stylesheet" href="/dashboard/app.css" crossorigin>
<script type="module" src="/dashboard/app.js" crossorigin></script>`,
    `<div id="app" data-version="${version}"><p class="starting">Sanctum is loading …</p></div>
<noscript><p class="starting">This page needs JavaScript. The same figures: <a href="/stats">/stats</a>, or <code>sanctum stats</code>.</p></noscript>`,
  );
}

const reasons = {
  needed: "This gateway shows its dashboard to whoever holds a link.",
  used: "This link was used already, or is older than two minutes.",
} as const;

export function lockedPage(why: keyof typeof reasons): string {
  return html(
    "Sanctum: a link is needed",
    `<link rel="stylesheet" href="/dashboard/app.css" crossorigin>`,
    `<main class="locked">
<h1>A link is needed</h1>
<p>${reasons[why]} On the machine where the gateway runs:</p>
<pre><code>sanctum dashboard</code></pre>
<p>It opens the dashboard in the browser there. For another device, print the link instead, and open it there within two minutes:</p>
<pre><code>sanctum dashboard --print</code></pre>
</main>`,
  );
}

function html(title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="${icon}">
${head}
</head>
<body>
${body}
</body>
</html>
`;
}
