// What the symbols, colours and lines mean; lines can be put aside.
import { LETTER, SEVERITIES, SYMBOLS } from "console";

const RELATIONS = ["FEEDS", "CONTROLS", "POWERS", "CONTAINS", "AFFECTS", "DEPENDS_ON", "NETWORK"];

export const Legend = {
  name: "Legend",
  props: { counts: Object, hidden: Object, cards: Boolean },
  emits: ["toggle"],
  data: () => ({ SYMBOLS, SEVERITIES, LETTER }),
  computed: { relations() { return RELATIONS.filter((name) => this.counts[name]); } },
  methods: { words: (name) => name.toLowerCase().replace("_", " ") },
  template: `
  <details class="legend" open>
    <summary>Legend</summary>
    <ul class="severities">
      <li v-for="severity in SEVERITIES" :key="severity"><svg viewBox="-12 -12 24 24" aria-hidden="true" class="node" :class="severity"><circle class="ring" r="9" /><text y="4.5">{{ LETTER[severity] }}</text></svg>{{ severity }}</li>
      <li><svg viewBox="-12 -12 24 24" aria-hidden="true" class="node medium unacknowledged"><circle class="ring" r="9" /></svg>blinks: not acknowledged</li>
      <li><svg viewBox="-12 -12 24 24" aria-hidden="true" class="node aside"><circle class="ring" r="9" /></svg>put aside</li>
      <li><svg viewBox="-12 -12 24 24" aria-hidden="true" class="node is-origin strong"><circle class="halo" r="9" /></svg>where a fault began</li>
      <li><svg viewBox="-12 -12 24 24" aria-hidden="true" class="node is-next"><circle class="halo" r="9" /></svg>hit next</li>
    </ul>
    <ul v-if="!cards" class="symbols"><li v-for="(path, kind) in SYMBOLS" :key="kind"><svg viewBox="-13 -13 26 26" aria-hidden="true" class="node"><path class="symbol" :d="path" /></svg>{{ kind }}</li></ul>
    <ul v-if="relations.length" class="relations" aria-label="Lines"><li v-for="name in relations" :key="name"><button type="button" :aria-pressed="!hidden.has(name)" @click="$emit('toggle', name)"><svg viewBox="0 0 34 8" aria-hidden="true"><line x1="1" y1="4" x2="33" y2="4" class="edge" :class="name" /></svg>{{ words(name) }} <small>{{ counts[name] }}</small></button></li></ul>
  </details>`,
};
