// The plant as a live graph. Positions come from the service and never change with a state; `paint` colours what is drawn.
import { ASIDE, LETTER, SYMBOLS, UNACKNOWLEDGED, clock, cut, device, lag, percent, shortened, spoken, when } from "console";
import { Faults } from "console/faults.js";
import { Legend } from "console/legend.js";
import { Span } from "console/span.js";
import { culled } from "console/labels.js";

const [WIDE, HIGH] = [210, 104]; // a card
const CLOSEST = 3, FARTHEST = 0.03;
const MANY = 40; // so many edges of a network that are not drawn until they are asked for

export default {
  components: { Faults, Legend, Span },
  props: {
    scene: Object, paint: Object, faults: Array, overlay: Object, chosen: String, asof: String, now: String, problem: String,
    found: Array,
  },
  emits: ["find", "at", "fault"],
  data: () => ({
    SYMBOLS, LETTER, states: {}, view: { x: 0, y: 0, k: 1 }, size: { width: 800, height: 500 }, labels: new Set(),
    hidden: new Set(), hover: null, text: "",
  }),
  created() { this.states = this.paint || {}; this.pointers = new Map(); this.dragged = false; this.steered = false; },
  mounted() {
    if (this.counts.NETWORK > MANY) this.hidden = new Set(["NETWORK"]);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.$refs.stage);
    this.resized();
    this.show();
    window.addEventListener("keydown", this.escape);
  },
  unmounted() { this.observer.disconnect(); window.removeEventListener("keydown", this.escape); },
  watch: {
    paint(states) { this.states = states || {}; this.relabel(); },
    scene(now, before) { if (now.title !== before.title || now.nodes.length !== before.nodes.length) this.relabel(); },
    overlay(now, before) { if ((now && now.fault.faultId) !== (before && before.fault.faultId)) this.show(); this.relabel(); },
    view: { deep: true, handler() { this.relabel(); } },
  },
  computed: {
    places() { return new Map(this.scene.nodes.map((node) => [node.id, node])); },
    cards() { return new Map(this.scene.cards.map((card) => [card.key, card])); },
    counts() {
      const counts = {};
      for (const edge of this.scene.edges) counts[edge[2]] = (counts[edge[2]] || 0) + 1;
      return counts;
    },
    part() { return this.overlay ? new Set(Object.keys(this.overlay.devices)) : null; },
    edges() {
      return this.scene.edges.filter(([source, target, relation]) =>
        !this.hidden.has(relation) || (this.hover !== null && (source === this.hover || target === this.hover)));
    },
    path() {
      if (!this.overlay) return [];
      return this.overlay.path.filter((step) => this.places.has(step.source) && this.places.has(step.target))
        .map((step, place) => ({ ...step, place, weak: !this.struck(step.target), ...this.beside(this.line(step.source, step.target)) }));
    },
    box() {
      const boxes = [
        ...this.scene.areas.map((area) => [area.x, area.y, area.x + area.width, area.y + area.height]),
        ...this.scene.cards.map((card) => [card.x, card.y, card.x + WIDE, card.y + HIGH]),
      ];
      return boxes.length ? around(boxes) : [0, 0, 800, 400];
    },
    letters() { return Math.min(26, Math.max(7, 11 / this.view.k)); },
  },
  methods: {
    clock, cut, device, lag, percent, when,
    // --- What is called from the service ---
    repaint(states) { this.states = states; this.relabel(); },
    // --- Looking around ---
    resized() {
      const { clientWidth: width, clientHeight: height } = this.$refs.stage;
      this.size = { width, height };
      if (!this.steered) this.show();
    },
    show() {
      const inside = this.part ? this.scene.nodes.filter((node) => this.struck(node.id) || this.role_of(node.id)?.role === "next") : [];
      this.look(inside.length ? around(inside.map((node) => [node.x - 70, node.y - 60, node.x + 70, node.y + 70])) : this.box);
    },
    look([left, top, right, bottom]) {
      const pad = 16, { width, height } = this.size;
      const k = Math.max(FARTHEST, Math.min(1.5, (width - 2 * pad) / (right - left), (height - 2 * pad) / (bottom - top)));
      this.view = { k, x: width / 2 - k * (left + right) / 2, y: height / 2 - k * (top + bottom) / 2 };
    },
    zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
      this.steered = true;
      const k = Math.max(FARTHEST, Math.min(CLOSEST, this.view.k * factor)), by = k / this.view.k;
      this.view = { k, x: x - by * (x - this.view.x), y: y - by * (y - this.view.y) };
    },
    wheel(event) {
      const box = this.$refs.stage.getBoundingClientRect();
      this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), event.clientX - box.left, event.clientY - box.top);
    },
    pressed(event) {
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.dragged = this.pointers.size > 1;
    },
    moved(event) {
      const last = this.pointers.get(event.pointerId);
      if (!last) return;
      const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
      if (!this.dragged && Math.hypot(dx, dy) < 5) return;
      this.steered = true;
      if (!this.dragged) { this.dragged = true; this.$refs.svg.setPointerCapture(event.pointerId); }
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (!others.length) { this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy }; return; }
      const box = this.$refs.stage.getBoundingClientRect(), other = others[0];
      const before = Math.hypot(last.x - other.x, last.y - other.y), after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (before > 0) this.zoom(after / before, (event.clientX + other.x) / 2 - box.left, (event.clientY + other.y) / 2 - box.top);
    },
    released(event) { this.pointers.delete(event.pointerId); },
    clicked(event) { if (this.dragged) { event.preventDefault(); event.stopPropagation(); this.dragged = false; } },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (steps[event.key]) {
        const [dx, dy] = steps[event.key];
        this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
      } else if (event.key === "+" || event.key === "=") this.zoom(1.25);
      else if (event.key === "-") this.zoom(0.8);
      else if (event.key === "0") this.look(this.box);
      else return;
      event.preventDefault();
    },
    escape(event) { if (event.key === "Escape" && this.chosen && !document.querySelector("dialog[open]")) this.$emit("fault", { id: null }); },
    // Whoever comes to a device by the keyboard sees it.
    focused(node) {
      this.hover = node.id;
      const x = this.view.x + this.view.k * node.x, y = this.view.y + this.view.k * node.y;
      const { width, height } = this.size;
      if (x < 30 || y < 30 || x > width - 30 || y > height - 30) {
        this.view = { ...this.view, x: width / 2 - this.view.k * node.x, y: height / 2 - this.view.k * node.y };
      }
    },
    // --- Searching ---
    search() { this.$emit("find", { text: this.text }); },
    jump(id) {
      const node = this.places.get(id);
      if (!node) { location.assign(`/?around=${encodeURIComponent(id)}&hops=1`); return; }
      const k = Math.max(this.view.k, 1.1);
      this.view = { k, x: this.size.width / 2 - k * node.x, y: this.size.height / 2 - k * node.y };
      this.hover = id;
      this.$nextTick(() => this.$refs.svg.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus());
    },
    first() { if (this.found && this.found.length) this.jump(this.found[0]); },
    // --- Drawing ---
    struck(id) {
      const role = this.role_of(id);
      return role !== null && (role.role === "hit" || (role.role === "origin" && role.strong));
    },
    line(source, target) {
      const one = this.places.get(source), other = this.places.get(target);
      const length = Math.hypot(other.x - one.x, other.y - one.y) || 1, gap = Math.min(17, length / 3);
      const [ux, uy] = [(other.x - one.x) / length, (other.y - one.y) / length];
      return {
        x1: one.x + ux * gap, y1: one.y + uy * gap, x2: other.x - ux * gap, y2: other.y - uy * gap,
        mx: (one.x + other.x) / 2, my: (one.y + other.y) / 2,
      };
    },
    // Where the lag is written: above a step that leads sideways, beside one that leads up or down.
    beside(line) {
      const steep = Math.abs(line.y2 - line.y1) > Math.abs(line.x2 - line.x1);
      return { ...line, lx: line.mx + (steep ? 9 : 0), ly: line.my + (steep ? 3 : -5), anchor: steep ? "start" : "middle" };
    },
    middle(key) { const card = this.cards.get(key); return { x: card.x + WIDE / 2, y: card.y + HIGH / 2 }; },
    state(key) { return this.states[key]; },
    look_of(key) {
      const state = this.states[key];
      if (!state) return [];
      const found = [state.severity || "aside"];
      if (state.alarms && UNACKNOWLEDGED.includes(state.state)) found.push("unacknowledged");
      if (state.state === "returned-unacknowledged") found.push("returned");
      if (ASIDE.includes(state.state) || !state.severity) found.push("aside");
      if (!state.alarms && state.suppressed) found.push("under");
      return found;
    },
    role_of(id) {
      if (!this.overlay) return null;
      return this.overlay.devices[id] || null;
    },
    node_class(node) {
      const role = this.role_of(node.id);
      return [...this.look_of(node.id), { dim: this.part && !role, focus: this.hover === node.id || this.scene.around === node.id },
        role ? `is-${role.role}` : "", role && role.strong ? "strong" : ""];
    },
    spoken_of(node) {
      const role = this.role_of(node.id), parts = [node.id, node.type, this.asof ? "" : spoken(this.states[node.id])];
      if (role) parts.push(role.words);
      return parts.filter(Boolean).join(", ");
    },
    second(node) {
      const role = this.role_of(node.id);
      if (!role) return "";
      if (role.role === "next") return `expected ${clock(role.at)}`;
      return role.at ? `since ${clock(role.at)}` : "";
    },
    relabel() {
      if (this.labelling) return;
      this.labelling = requestAnimationFrame(() => {
        this.labelling = null;
        const told = this.scene.nodes.filter((node) => !this.part || this.part.has(node.id));
        const marks = this.path.filter((step) => step.lagSeconds !== null).map((step) => ({ x: step.lx + (step.anchor === "start" ? 1.5 * this.letters : 0), y: step.ly, text: lag(step.lagSeconds) }));
        const chances = told.filter((node) => this.role_of(node.id)?.strong).map((node) => ({ x: node.x - 16 - 2 * this.letters, y: node.y - 15, text: "100 %" }));
        this.labels = culled(told.map((node) => ({
          id: node.id, x: node.x, y: node.y, text: shortened(node.id), second: this.second(node), rank: this.rank(node),
        })), [...marks, ...chances], this.letters, this.view.k);
      });
    },
    rank(node) {
      const role = this.role_of(node.id), state = this.states[node.id];
      if (this.scene.around === node.id) return 0;
      if (role && role.role !== "way") return role.strong ? 1 : role.role === "origin" ? 4 : 2;
      return state && state.alarms ? 3 : 4;
    },
    shortened,
    types(card) {
      if (card.types.length === 1 && card.types[0][0] === card.title) return "";
      return card.types.map(([name, count]) => `${count.toLocaleString("en")} ${name}`).join(" · ");
    },
    toggle(relation) {
      const hidden = new Set(this.hidden);
      if (!hidden.delete(relation)) hidden.add(relation);
      this.hidden = hidden;
    },
    width(count) { return 1 + Math.min(6, Math.log2(1 + count)); },
  },
  template: `
  <div class="plant">
    <section class="drawing" aria-label="The plant">
      <div class="bar">
        <nav class="crumbs" aria-label="Where you are"><template v-for="[label, href] in scene.crumbs" :key="href"><a :href="href">{{ label }}</a><span aria-hidden="true">›</span></template><h1>{{ scene.title }}</h1></nav>
        <div v-if="scene.around" class="hops" role="group" aria-label="Hops">
          <a v-for="hops in 3" :key="hops" :href="'/?around=' + encodeURIComponent(scene.around) + '&hops=' + hops" :aria-current="hops === scene.hops ? 'true' : null">{{ hops }} hop{{ hops > 1 ? "s" : "" }}</a>
          <a :href="device(scene.around)">Device page</a>
        </div>
        <span v-if="scene.note" class="note">{{ scene.note }}</span>
      </div>
      <div ref="stage" class="stage" :class="{ past: asof }">
        <svg ref="svg" class="graph" tabindex="0" role="group" :aria-label="scene.title + '. Arrows move, plus and minus zoom, 0 shows all, Tab goes from device to device.'"
          @wheel.prevent="wheel" @pointerdown="pressed" @pointermove="moved" @pointerup="released" @pointercancel="released" @click.capture="clicked" @keydown="key" @dragstart.prevent>
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0.5L8 4L0 7.5z" class="head" /></marker>
            <marker id="arrow-path" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="3.2" markerHeight="3.2" orient="auto"><path d="M0 0L8 4L0 8z" class="head path" /></marker>
          </defs>
          <g :transform="'translate(' + view.x + ' ' + view.y + ') scale(' + view.k + ')'" :style="{ '--letters': letters + 'px', '--thin': Math.max(1, 0.8 / view.k) }">
            <g class="areas" aria-hidden="true"><g v-for="area in scene.areas" :key="area.title"><rect :x="area.x" :y="area.y" :width="area.width" :height="area.height" rx="6" />
              <text :x="area.x + 14" :y="area.y + 24">{{ area.title }}</text></g></g>
            <g class="links" aria-hidden="true"><line v-for="[one, other, count] in scene.links" :key="one + other" :x1="middle(one).x" :y1="middle(one).y" :x2="middle(other).x" :y2="middle(other).y" :stroke-width="width(count)" /></g>
            <g class="edges" :class="{ dim: part }" aria-hidden="true"><line v-for="[source, target, relation, directed] in edges" :key="source + ' ' + target + ' ' + relation" v-bind="line(source, target)" :class="['edge', relation, { near: hover === source || hover === target }]" :marker-end="directed && relation !== 'NETWORK' ? 'url(#arrow)' : null" /></g>
            <g class="path" aria-hidden="true"><line v-for="step in path" :key="step.place" class="step" :class="{ weak: step.weak }" :x1="step.x1" :y1="step.y1" :x2="step.x2" :y2="step.y2" marker-end="url(#arrow-path)" :data-step="step.source + ' ' + step.target" /></g>
            <a v-for="card in scene.cards" :key="card.key" class="card" :class="look_of(card.key)" :href="card.href" :data-card="card.key" :transform="'translate(' + card.x + ' ' + card.y + ')'"
              :aria-label="card.title + ', ' + card.devices + ' devices, ' + (state(card.key) && state(card.key).alarms ? state(card.key).alarms + ' alarms' : 'no alarms')">
              <rect class="body" :width="${WIDE}" :height="${HIGH}" rx="6" /><rect class="stripe" width="6" :height="${HIGH}" rx="2" />
              <text class="name" x="20" y="30">{{ cut(card.title, 22) }}</text>
              <text class="many" x="20" y="58">{{ card.devices.toLocaleString("en") }} <tspan class="unit">{{ card.devices === 1 ? "device" : "devices" }}</tspan></text>
              <text class="types" x="20" y="${HIGH - 18}">{{ cut(types(card), 30) }}</text>
              <g v-if="state(card.key) && state(card.key).severity" class="mark" transform="translate(${WIDE - 26} 26)"><rect x="-13" y="-13" width="26" height="26" rx="4" class="plate" /><text y="5">{{ LETTER[state(card.key).severity] }}</text></g>
              <text v-if="state(card.key) && state(card.key).alarms" class="alarms" x="${WIDE - 14}" y="58">{{ state(card.key).alarms }} {{ state(card.key).alarms === 1 ? "alarm" : "alarms" }}</text>
            </a>
            <a v-for="node in scene.nodes" :key="node.id" class="node" :class="node_class(node)" :href="device(node.id)" :data-id="node.id" :aria-label="spoken_of(node)" :transform="'translate(' + node.x + ' ' + node.y + ')'"
              @focus="focused(node)" @blur="hover = null" @pointerenter="hover = node.id" @pointerleave="hover = null">
              <title>{{ spoken_of(node) }}</title>
              <circle class="reach" r="22" /><circle v-if="role_of(node.id) && role_of(node.id).role !== 'way'" class="halo" r="19" /><circle class="ring" r="16" />
              <path class="symbol" :d="SYMBOLS[node.kind]" />
              <g v-if="state(node.id) && state(node.id).severity && !asof" class="mark" transform="translate(14 -14)"><circle r="7.5" class="plate" /><text y="3.6">{{ LETTER[state(node.id).severity] }}</text></g>
              <g v-if="role_of(node.id) && role_of(node.id).strong" class="chance" transform="translate(-16 -15)"><text>{{ percent(role_of(node.id).probability) }}</text></g>
              <g v-if="labels.has(node.id) || hover === node.id" class="label"><text :y="17 + letters">{{ shortened(node.id) }}</text><text v-if="second(node)" class="second" :y="17 + 2.15 * letters">{{ second(node) }}</text></g>
            </a>
            <g class="lags" aria-hidden="true"><text v-for="step in path" :key="step.place" :x="step.lx" :y="step.ly" :text-anchor="step.anchor">{{ lag(step.lagSeconds) }}</text></g>
          </g>
        </svg>
        <p v-if="problem" class="empty" role="alert">{{ problem }}</p>
        <p v-else-if="!scene.nodes.length && !scene.cards.length" class="empty">{{ asof ? "Nothing was known of the plant then." : "No device is known yet. As soon as a gateway tells of one, it appears here." }}</p>
        <div v-if="asof" class="past-mark" role="status">as of {{ when(asof, now) }} · alarms are shown live only</div>
        <div class="zoom" role="group" aria-label="Zoom">
          <button type="button" aria-label="Closer" @click="zoom(1.4)">+</button><button type="button" aria-label="Farther" @click="zoom(0.7)">−</button><button type="button" aria-label="Show all" title="Show all (0)" @click="look(box)">⤢</button>
        </div>
      </div>
      <Span :now="now" :asof="asof" @at="$emit('at', $event)" />
    </section>
    <aside class="side">
      <form class="search" role="search" @submit.prevent="first">
        <label class="unseen" for="search">Search for a device</label>
        <input id="search" v-model="text" type="search" placeholder="Search for a device  ( / )" autocomplete="off" @input="search" />
        <ul v-if="text && found" class="found"><li v-for="id in found" :key="id"><button type="button" class="plain" @click="jump(id)">{{ id }}</button></li><li v-if="!found.length" class="none">No device has this in its id.</li></ul>
      </form>
      <Faults :faults="faults" :overlay="overlay" :chosen="chosen" :now="now" @choose="$emit('fault', { id: $event })" />
      <Legend :counts="counts" :hidden="hidden" :cards="scene.cards.length > 0" @toggle="toggle" />
    </aside>
  </div>`,
};

function around(boxes) {
  return [0, 1, 2, 3].map((side) => (side < 2 ? Math.min : Math.max)(...boxes.map((box) => box[side])));
}
