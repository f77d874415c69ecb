import { Badge, SEVERITIES, device, number, percent, when } from "console";

const TARGETS = { critical: null, high: 0.05, medium: 0.15, low: 0.8 };

export default {
  components: { Badge },
  props: { windows: Array, window: String, kpis: Object, figures: Array, stale: Array, now: String },
  emits: ["window"],
  data: () => ({ SEVERITIES, TARGETS }),
  methods: { device, number, percent, when },
  template: `
  <div class="page">
    <header class="head"><h1>Figures</h1><span v-if="kpis" class="facts">{{ when(kpis.start, now) }} to {{ when(kpis.end, now) }}, of the plant's time</span>
      <div class="choice" role="group" aria-label="Stretch of time"><button v-for="name in windows" :key="name" type="button" :aria-pressed="name === window" @click="$emit('window', { window: name })">{{ name }}</button></div></header>
    <p v-if="!kpis" class="none block">No event has come yet, so there is nothing to count.</p>
    <div v-else class="columns even">
      <section aria-label="Key figures"><h2>For one operator, beside ISA-18.2</h2>
        <table class="figures"><thead><tr><th>Figure</th><th class="num">Is</th><th>Should be</th><th></th></tr></thead>
          <tbody><tr v-for="figure in figures" :key="figure.name"><th>{{ figure.name }}</th><td class="num big">{{ Number(figure.value.toFixed(2)) }} {{ figure.unit }}</td><td class="facts">{{ figure.target }}</td><td><span class="verdict" :class="{ over: !figure.good }">{{ figure.good ? "✓ good" : "▲ over" }}</span></td></tr></tbody></table>
        <dl class="facts-list"><dt>Raised</dt><dd>{{ kpis.raised }}</dd><dt>Of these asked for an operator</dt><dd>{{ kpis.annunciated }}</dd><dt>Came under a fault's</dt><dd>{{ kpis.consequential }}</dd><dt>Standing now</dt><dd>{{ kpis.standing }}</dd><dt>Not acknowledged</dt><dd>{{ kpis.unacknowledged }}</dd><dt>Shelved</dt><dd>{{ kpis.shelved }}</dd></dl></section>
      <div class="stack">
        <section aria-label="Severities"><h2>Severities</h2><ul class="bars mix"><li v-for="severity in SEVERITIES" :key="severity"><span><Badge :severity="severity" /> {{ severity }}</span><meter :value="kpis.mix[severity] || 0" max="1" aria-hidden="true"></meter><span class="num">{{ percent(kpis.mix[severity] || 0) }} <small>{{ TARGETS[severity] === null ? "rare" : "about " + percent(TARGETS[severity]) }}</small></span></li></ul></section>
        <section aria-label="Most frequent"><h2>Most frequent</h2><p v-if="!kpis.mostFrequent.length" class="none">No alarm came.</p><ol class="links-list"><li v-for="one in kpis.mostFrequent" :key="one.alarmId"><span><a :href="device(one.deviceId)">{{ one.deviceId }}</a> {{ one.condition }}</span><span class="num">{{ one.count }}</span></li></ol></section>
        <section aria-label="Chattering"><h2>Chattering</h2><p v-if="!kpis.chattering.length" class="none">None.</p><ul class="links-list"><li v-for="one in kpis.chattering" :key="one.alarmId"><span><a :href="device(one.deviceId)">{{ one.deviceId }}</a> {{ one.condition }}</span><span class="num">{{ one.count }}</span></li></ul></section>
        <section aria-label="Stale"><h2>Stale, active for more than a day</h2><p v-if="!stale.length" class="none">None.</p><ul class="links-list"><li v-for="one in stale" :key="one.id"><a v-if="one.deviceId" :href="device(one.deviceId)">{{ one.deviceId }}</a><span v-else>{{ one.id }}</span></li></ul></section>
      </div>
    </div>
  </div>`,
};
