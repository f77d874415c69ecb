// The last day of the plant's time: a slider that shows it as of then, and the way back to now.
import { when } from "console";

const DAY = 24 * 60; // minutes

export const Span = {
  name: "Span",
  props: { now: String, asof: String },
  emits: ["at"],
  data: () => ({ place: DAY, day: DAY }),
  watch: { asof(value) { if (!value) this.place = DAY; } },
  methods: {
    when,
    time(place) { return new Date(new Date(this.now).getTime() - (DAY - place) * 60000).toISOString(); },
    changed() { this.$emit("at", { time: this.place >= DAY ? null : this.time(this.place) }); },
    spoken() { return this.place >= DAY ? "live" : `as of ${when(this.time(this.place), this.now)}`; },
  },
  template: `
  <div class="span" :class="{ past: asof }">
    <label for="span">As of</label>
    <output for="span">{{ now ? spoken() : "–" }}</output>
    <input id="span" v-model.number="place" type="range" min="0" :max="day" step="1" :disabled="!now" :aria-valuetext="now ? spoken() : 'no events yet'" @change="changed" />
    <button type="button" :disabled="!asof" @click="place = day; changed()">Live</button>
  </div>`,
};
