// A signal over time: its value with the band in which it was expected, and beneath it how strange that was.
import { clock, number } from "console";

const HIGH = 120, LOW = 44, GAP = 14, LEFT = 52, RIGHT = 10;

export const Chart = {
  name: "Chart",
  props: { name: String, unit: String, points: Array },
  data: () => ({ width: 600, HIGH, LOW, GAP, LEFT, RIGHT }),
  mounted() {
    this.observer = new ResizeObserver(() => { this.width = Math.max(240, this.$el.clientWidth); });
    this.observer.observe(this.$el);
  },
  unmounted() { this.observer.disconnect(); },
  computed: {
    last() { return this.points[this.points.length - 1]; },
    range() {
      const found = this.points.flatMap((point) => [point.value, point.low, point.high]).filter((value) => value !== null);
      let [least, most] = found.length ? [Math.min(...found), Math.max(...found)] : [0, 1];
      if (least === most) [least, most] = [least - 1, most + 1];
      const pad = (most - least) * 0.06;
      return [least - pad, most + pad];
    },
    strangest() { return Math.max(1.5, ...this.points.map((point) => Math.min(point.surprise ?? 0, 10))); },
    x() {
      const first = this.points[0].at, length = Math.max(1, this.last.at - first), width = this.width - LEFT - RIGHT;
      return (at) => LEFT + ((at - first) / length) * width;
    },
    y() { const [least, most] = this.range; return (value) => 6 + ((most - value) / (most - least)) * (HIGH - 12); },
    z() { return (value) => HIGH + GAP + LOW - (Math.min(value, 10) / this.strangest) * LOW; },
    value() { return this.curve((point) => point.value, this.y); },
    expected() { return this.curve((point) => point.expected, this.y); },
    surprise() { return this.curve((point) => point.surprise, this.z); },
    band() { return this.runs((point) => point.low !== null).map((run) => this.area(run)).join(""); },
    strange() { return this.points.filter((point) => point.surprise !== null && point.surprise >= 1 && point.value !== null); },
    times() { return [0, 0.5, 1].map((share) => this.points[Math.round(share * (this.points.length - 1))].at); },
    words() {
      const { value, low, high, surprise } = this.last;
      const told = low === null ? "" : `, expected ${number(low)} to ${number(high)}`;
      return `${this.name}: ${number(value)} ${this.unit || ""}${told}${surprise !== null && surprise >= 1 ? ", strange" : ""}`;
    },
  },
  methods: {
    clock: (at) => clock(at / 1000), number,
    runs(good) {
      const runs = [[]];
      for (const point of this.points) if (good(point)) runs[runs.length - 1].push(point); else if (runs[runs.length - 1].length) runs.push([]);
      return runs.filter((run) => run.length);
    },
    curve(of, place) {
      return this.runs((point) => of(point) !== null).map((run) => "M" + run.map((point) => `${this.x(point.at).toFixed(1)} ${place(of(point)).toFixed(1)}`).join("L")).join("");
    },
    area(run) {
      const over = run.map((point) => `${this.x(point.at).toFixed(1)} ${this.y(point.high).toFixed(1)}`);
      const under = [...run].reverse().map((point) => `${this.x(point.at).toFixed(1)} ${this.y(point.low).toFixed(1)}`);
      return `M${over.join("L")}L${under.join("L")}z`;
    },
  },
  template: `
  <svg class="chart" :viewBox="'0 0 ' + width + ' ' + (HIGH + GAP + LOW + 18)" :height="HIGH + GAP + LOW + 18" role="img" :aria-label="words" :data-chart="name">
    <path class="band" :d="band" /><path class="expected" :d="expected" /><path class="value" :d="value" />
    <circle v-for="point in strange" :key="point.at" class="strange" :cx="x(point.at)" :cy="y(point.value)" r="2.6" />
    <text class="axis" :x="LEFT - 6" y="14">{{ number(range[1]) }}</text><text class="axis" :x="LEFT - 6" :y="HIGH - 4">{{ number(range[0]) }}</text>
    <line class="frame" :x1="LEFT" :x2="width - RIGHT" :y1="HIGH" :y2="HIGH" /><line class="frame" :x1="LEFT" :x2="width - RIGHT" :y1="HIGH + GAP + LOW" :y2="HIGH + GAP + LOW" />
    <path class="surprise" :d="surprise" /><line class="limit" :x1="LEFT" :x2="width - RIGHT" :y1="z(1)" :y2="z(1)" />
    <text class="axis" :x="LEFT - 6" :y="z(1) + 4">limit 1</text>
    <text v-for="(at, place) in times" :key="place" class="axis" :class="['start', 'middle', 'end'][place]" :x="x(at)" :y="HIGH + GAP + LOW + 14">{{ clock(at) }}</text>
  </svg>`,
};
