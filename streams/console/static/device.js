import { number, percent, spoken, when } from "console";
import { AlarmList } from "console/alarmlist.js";
import { Chart } from "console/chart.js";

const href = (id) => `/devices/${encodeURIComponent(id)}`;

export default {
  components: { AlarmList, Chart },
  props: {
    name: String, problem: String, device: Object, rows: Array, signals: Array, traces: Object, unread: String, why: Object,
    near: Object, taken: Object, now: String, history: Object,
  },
  emits: ["verb", "history"],
  computed: {
    watched() { return this.signals.filter((signal) => this.traces[signal.name] && this.traces[signal.name].length > 1); },
    properties() { return this.device ? Object.entries(this.device.properties || {}) : []; },
  },
  methods: {
    href, number, percent, spoken, when,
    way(near) { return near.target === near.deviceId ? `${near.relation.toLowerCase().replace("_", " ")} →` : `← ${near.relation.toLowerCase().replace("_", " ")}`; },
    last(signal) { const points = this.traces[signal.name]; return points ? points[points.length - 1] : null; },
  },
  template: `
  <div class="page device">
    <p v-if="problem" class="none block" role="alert">{{ problem }} <a href="/">To the plant</a></p>
    <template v-if="device">
      <header class="head">
        <nav class="crumbs" aria-label="Where you are"><a href="/">Plant</a><span aria-hidden="true">›</span><template v-if="device.zone"><a :href="'/?zone=' + encodeURIComponent(device.zone)">{{ device.zone }}</a><span aria-hidden="true">›</span></template><h1>{{ name }}</h1></nav>
        <span class="facts">{{ device.type }}<template v-if="device.location">, {{ device.location }}</template><template v-if="device.parent">, in <a :href="href(device.parent)">{{ device.parent }}</a></template>, {{ device.state }}, {{ spoken(device.condition) }}</span>
        <a class="button" :href="'/?around=' + encodeURIComponent(name) + '&hops=2'">Show in the graph</a>
      </header>
      <div class="columns">
        <section class="wide" aria-label="Signals"><h2>Signals</h2>
          <p v-if="unread" class="none">{{ unread }}</p><p v-else-if="!signals.length" class="none">This device has told of no signals.</p>
          <table v-else class="figures"><thead><tr><th>Signal</th><th class="num">Reading</th><th>Unit</th><th class="num">Expected</th><th>At</th></tr></thead>
            <tbody><tr v-for="signal in signals" :key="signal.name"><th>{{ signal.name }}</th><td class="num big">{{ number(signal.value) }}</td><td>{{ signal.unit || "" }}</td><td class="num">{{ last(signal) && last(signal).low !== null ? number(last(signal).low) + " … " + number(last(signal).high) : "not watched" }}</td><td>{{ signal.at ? when(signal.at, now, true) : "no reading yet" }}<span v-if="signal.quality && signal.quality !== 'good'" class="tag">{{ signal.quality }}</span></td></tr></tbody></table>
          <figure v-for="signal in watched" :key="signal.name"><figcaption><strong>{{ signal.name }}</strong> <span class="facts">{{ signal.unit || "" }} · band: where it was expected · below: how strange, strange from 1 on</span></figcaption><Chart :name="signal.name" :unit="signal.unit" :points="traces[signal.name]" /></figure>
        </section>
        <div class="stack">
          <section aria-label="Alarms"><h2>Alarms</h2><AlarmList :rows="rows" :history="history" :now="now" single @verb="$emit('verb', $event)" @history="$emit('history', $event)" /><p v-if="!rows.length" class="none">No alarm stands here.</p></section>
          <section v-if="why && why.signals.length" aria-label="Why"><h2>What the alarm comes from</h2>
            <ul class="bars"><li v-for="part in why.signals" :key="'s' + part.name"><span>{{ part.name }}</span><meter :value="part.share" max="1" aria-hidden="true"></meter><span class="num">{{ percent(part.share) }}</span></li></ul>
            <template v-if="why.neighbours.length"><h3>Neighbours that do not explain it</h3><ul class="bars"><li v-for="part in why.neighbours" :key="'n' + part.deviceId"><a :href="href(part.deviceId)">{{ part.deviceId }}</a><meter :value="part.share" max="1" aria-hidden="true"></meter><span class="num">{{ percent(part.share) }}</span></li></ul></template></section>
          <section aria-label="Neighbours"><h2>Neighbours</h2><p v-if="near && !near.near.length" class="none">Nothing is linked with it.</p>
            <ul v-if="near" class="links-list"><li v-for="one in near.near" :key="one.deviceId"><a :href="href(one.deviceId)">{{ one.deviceId }}</a><span class="facts">{{ way(one) }}</span></li></ul><p v-if="near && near.cutShort" class="none">There are more.</p></section>
          <section aria-label="Impact"><h2>What this device will take down</h2><p v-if="taken && !taken.near.length" class="none">Nothing depends on it.</p>
            <ul v-if="taken" class="links-list"><li v-for="one in taken.near" :key="one.deviceId"><a :href="href(one.deviceId)">{{ one.deviceId }}</a><span class="facts">{{ one.hops }} step{{ one.hops > 1 ? "s" : "" }}</span></li></ul><p v-if="taken && taken.cutShort" class="none">There are more.</p></section>
          <section v-if="properties.length" aria-label="Properties"><h2>Properties</h2><dl class="facts-list"><template v-for="[key, value] in properties" :key="key"><dt>{{ key }}</dt><dd>{{ typeof value === "object" ? JSON.stringify(value) : value }}</dd></template></dl></section>
        </div>
      </div>
    </template>
  </div>`,
};
