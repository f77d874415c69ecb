// What the console's pages share: times, words, symbols. Text reaches the page through Vue's templates alone, never as HTML.

export const SEVERITIES = ["critical", "high", "medium", "low"];
export const LETTER = { critical: "C", high: "H", medium: "M", low: "L" };

export const STATES = {
  "normal": "normal",
  "unacknowledged": "not acknowledged",
  "acknowledged": "acknowledged",
  "returned-unacknowledged": "returned, not acknowledged",
  "latched-unacknowledged": "latched, not acknowledged",
  "latched-acknowledged": "latched, acknowledged",
  "shelved": "shelved",
  "suppressed-by-design": "suppressed by design",
  "out-of-service": "out of service",
};

export const VERBS = {
  "acknowledge": "Acknowledge",
  "reset": "Reset",
  "shelve": "Shelve",
  "unshelve": "Unshelve",
  "suppress": "Suppress",
  "unsuppress": "End suppression",
  "take-out-of-service": "Take out of service",
  "return-to-service": "Return to service",
};

export const UNACKNOWLEDGED = ["unacknowledged", "returned-unacknowledged", "latched-unacknowledged"];
export const ASIDE = ["shelved", "suppressed-by-design", "out-of-service"];

// Drawn in a square of 24 around the origin, after ISO 14617 and ISA-5.1 as far as they are told apart at this size.
export const SYMBOLS = {
  pump: "M-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0zM-5.5-9.5L11 0L-5.5 9.5",
  valve: "M-11-8L11 8V-8L-11 8z",
  tank: "M-9-6a9 5 0 0 1 18 0V7a9 4 0 0 1-18 0zM-9-6a9 4 0 0 0 18 0",
  pipe: "M-11-3.5H11V3.5H-11zM-7-3.5V3.5M7-3.5V3.5",
  junction: "M0-5a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
  sensor: "M-10 0a10 10 0 1 0 20 0a10 10 0 1 0-20 0zM-10 0H10",
  controller: "M-11-8H11V8H-11zM-6-3.5H6V3.5H-6z",
  motor: "M-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0zM-5 5V-5L0 1.5L5-5V5",
  gateway: "M0-11L11 0L0 11L-11 0zM-4 0H4M0-4V4",
  other: "M-8-8H8V8H-8z",
};

const TWO = (number) => String(number).padStart(2, "0");

export function clock(text, seconds = false) {
  if (!text) return "";
  const at = new Date(text);
  return `${TWO(at.getHours())}:${TWO(at.getMinutes())}${seconds ? ":" + TWO(at.getSeconds()) : ""}`;
}

export function day(text) {
  const at = new Date(text);
  return `${at.getFullYear()}-${TWO(at.getMonth() + 1)}-${TWO(at.getDate())}`;
}

// With the day where it is not the one of `now`, the plant's.
export function when(text, now, seconds = false) {
  if (!text) return "";
  return now && day(text) === day(now) ? clock(text, seconds) : `${day(text)} ${clock(text, seconds)}`;
}

export function lasted(from, until) {
  const minutes = Math.max(0, Math.round((new Date(until) - new Date(from)) / 60000));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function lag(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const sign = seconds < 0 ? "−" : "+", size = Math.abs(seconds);
  return size < 60 ? `${sign}${Math.round(size)} s` : size < 5400 ? `${sign}${Math.round(size / 60)} min` : `${sign}${(size / 3600).toFixed(1)} h`;
}

export const percent = (share) => (share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`);

export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

export const device = (id) => `/devices/${encodeURIComponent(id)}`;

export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// The part of an id that tells devices apart.
export function shortened(id, most = 14) {
  const last = id.split(/[/:]/).pop() || id;
  const text = last.length >= 3 ? last : id;
  return text.length > most ? `${text.slice(0, most - 5)}…${text.slice(-4)}` : text;
}

export function spoken(condition) {
  if (!condition) return "normal";
  if (!condition.severity) return condition.hidden ? "alarms put aside" : "normal";
  const state = STATES[condition.state] || condition.state;
  const count = condition.alarms > 1 ? `, ${condition.alarms} alarms` : "";
  return `${condition.severity} alarm, ${state}${count}`;
}

export const Badge = {
  name: "Badge",
  props: { severity: String, quiet: Boolean },
  data: () => ({ LETTER }),
  template: `<span class="badge" :class="[severity, { quiet }]"><span aria-hidden="true">{{ LETTER[severity] }}</span><span class="unseen">{{ severity }}</span></span>`,
};

// The browser's own dialog: it keeps the focus inside, ends with Escape, and gives the focus back.
export const Sheet = {
  name: "Sheet",
  props: { title: String },
  emits: ["gone"],
  mounted() { this.$refs.dialog.showModal(); },
  template: `
    <dialog ref="dialog" class="sheet" :aria-label="title" @close="$emit('gone')" @click.self="$refs.dialog.close()">
      <header><h2>{{ title }}</h2><button type="button" class="plain" aria-label="Close" @click="$refs.dialog.close()">✕</button></header>
      <slot />
    </dialog>`,
};
