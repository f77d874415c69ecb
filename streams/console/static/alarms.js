import { AlarmList } from "console/alarmlist.js";

export default {
  components: { AlarmList },
  props: { rows: Array, total: Number, every: Number, most: Number, now: String, history: Object },
  emits: ["verb", "history", "filter"],
  data: () => ({ state: "all", severity: "low", text: "" }),
  methods: { changed() { this.$emit("filter", { state: this.state, severity: this.severity, text: this.text }); } },
  template: `
  <div class="page">
    <header class="head"><h1>Alarms</h1><span class="facts">{{ total === every ? total : total + " of " + every }}</span>
      <form class="filters" role="search" @submit.prevent="changed">
        <label class="unseen" for="text">Device, zone or condition</label><input id="text" v-model="text" type="search" placeholder="Device, zone or condition  ( / )" @input="changed" />
        <label class="unseen" for="state">State</label><select id="state" v-model="state" @change="changed"><option value="all">all states</option><option value="asking">asking for an operator</option><option value="unacknowledged">not acknowledged</option><option value="aside">put aside</option></select>
        <label class="unseen" for="severity">Severity</label><select id="severity" v-model="severity" @change="changed"><option value="low">all severities</option><option value="medium">medium and worse</option><option value="high">high and worse</option><option value="critical">critical</option></select>
      </form></header>
    <AlarmList :rows="rows" :history="history" :now="now" @verb="$emit('verb', $event)" @history="$emit('history', $event)" />
    <p v-if="!rows.length" class="none block">{{ every ? "No alarm is like this." : "No alarm stands, and none is put aside." }}</p>
    <p v-if="rows.length >= most" class="none block">The first {{ most }} are shown; filter to see others.</p>
  </div>`,
};
