// Alarms as rows, with what people can do about them. Also on a device's page.
import { Badge, STATES, Sheet, UNACKNOWLEDGED, VERBS, clock, device, lasted, when } from "console";

const REASONED = ["shelve", "suppress", "take-out-of-service"];
const SHELVES = [["15 min", 15], ["1 h", 60], ["8 h", 480], ["until it returns to normal", null]];

export const AlarmList = {
  name: "AlarmList",
  components: { Badge, Sheet },
  props: { rows: Array, history: Object, now: String, single: Boolean },
  emits: ["verb", "history"],
  data: () => ({ STATES, VERBS, SHELVES, asked: null, reason: "", minutes: 60, opened: new Set() }),
  computed: {
    flat() {
      return this.rows.flatMap((row) => [{ row, depth: 0 }, ...(this.opened.has(row.id) ? row.children.map((child) => ({ row: child, depth: 1 })) : [])]);
    },
    named() { return this.flat.map((item) => item.row).find((row) => this.history && row.id === this.history.id); },
  },
  methods: {
    clock, device, lasted, when,
    waits: (row) => row.annunciated && UNACKNOWLEDGED.includes(row.state),
    others: (row) => row.verbs.filter((verb) => verb !== "acknowledge"),
    state(row) {
      if (row.shelf) return `shelved by ${row.shelf.actor} until ${row.shelf.until ? when(row.shelf.until, this.now) : "normal"}`;
      return STATES[row.state];
    },
    ask(row, verb) {
      if (!REASONED.includes(verb)) { this.$emit("verb", { id: row.id, verb }); return; }
      [this.asked, this.reason, this.minutes] = [{ row, verb }, "", 60];
    },
    picked(row, event) {
      const verb = event.target.value;
      event.target.value = "";
      if (verb) this.ask(row, verb);
    },
    give() {
      const { row, verb } = this.asked;
      this.$emit("verb", { id: row.id, verb, reason: this.reason, minutes: verb === "shelve" ? this.minutes : null });
      this.asked = null;
    },
    fold(row) { if (!this.opened.delete(row.id)) this.opened.add(row.id); this.opened = new Set(this.opened); },
    // j and k go from row to row, x acknowledges.
    key(event) {
      if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      const rows = [...this.$refs.list.querySelectorAll(".alarm")], place = rows.indexOf(event.target.closest(".alarm"));
      if (event.key === "j" || event.key === "k") rows[Math.max(0, Math.min(rows.length - 1, place + (event.key === "j" ? 1 : -1)))]?.focus();
      else if (event.key === "x" && place >= 0) {
        const row = this.flat[place].row;
        if (row.verbs.includes("acknowledge")) this.ask(row, "acknowledge");
      }
    },
  },
  mounted() { window.addEventListener("keydown", this.key); },
  unmounted() { window.removeEventListener("keydown", this.key); },
  template: `
  <div class="alarmlist">
    <ul ref="list" class="alarms-list" aria-label="Alarms">
      <li v-for="{ row, depth } in flat" :key="row.id" class="alarm" :class="[row.severity, { waits: waits(row), quiet: !row.annunciated, child: depth }]" tabindex="-1" :data-alarm="row.id" :data-state="row.state">
        <span class="bell" aria-hidden="true"></span>
        <Badge :severity="row.severity" :quiet="!row.annunciated" />
        <div class="what">
          <span class="title"><a v-if="!single" :href="device(row.deviceId)">{{ row.deviceId }}</a> <strong>{{ row.condition }}</strong></span>
          <span class="facts">
            <span>{{ state(row) }}<template v-if="row.acknowledgedBy && !row.shelf"> by {{ row.acknowledgedBy }}</template></span>
            <span v-if="row.zone && !single">{{ row.zone }}</span>
            <span v-if="row.occurrences > 1">came {{ row.occurrences }} times</span>
            <span v-if="row.chattering" class="tag">chattering</span><span v-if="row.stale" class="tag">stale</span><span v-if="!row.active && row.state !== 'normal'" class="tag">condition gone</span>
            <span v-if="row.aside">{{ row.aside }}</span>
            <a v-if="row.faultId" :href="'/faults/' + encodeURIComponent(row.faultId)">fault</a>
          </span>
        </div>
        <span class="since" :title="row.raisedAt">{{ when(row.raisedAt, now, true) }}<small v-if="now">{{ lasted(row.raisedAt, now) }}</small></span>
        <div class="verbs">
          <button v-if="row.verbs.includes('acknowledge')" type="button" class="ack" @click="ask(row, 'acknowledge')" :aria-label="'Acknowledge ' + row.deviceId + ' ' + row.condition">Acknowledge</button>
          <select v-if="others(row).length" :aria-label="'More for ' + row.deviceId + ' ' + row.condition" @change="picked(row, $event)"><option value="">More…</option><option v-for="verb in others(row)" :key="verb" :value="verb">{{ VERBS[verb] }}</option></select>
          <button type="button" class="plain" :aria-label="'History of ' + row.deviceId + ' ' + row.condition" @click="$emit('history', { id: row.id })">History</button>
        </div>
        <button v-if="row.children.length" type="button" class="fold plain" :aria-expanded="opened.has(row.id)" @click="fold(row)">{{ opened.has(row.id) ? "▾" : "▸" }} {{ row.children.length + row.more }} under this fault</button>
      </li>
    </ul>
    <Sheet v-if="asked" :title="VERBS[asked.verb] + ': ' + asked.row.deviceId + ' ' + asked.row.condition" @gone="asked = null">
      <form @submit.prevent="give">
        <template v-if="asked.verb === 'shelve'"><label for="minutes">For how long</label>
          <select id="minutes" v-model="minutes"><option v-for="[words, value] in SHELVES" :key="words" :value="value">{{ words }}</option></select></template>
        <label for="reason">Reason</label><textarea id="reason" v-model="reason" required maxlength="1000" autofocus></textarea>
        <div class="buttons"><button type="button" @click="asked = null">Cancel</button><button class="main">{{ VERBS[asked.verb] }}</button></div>
      </form>
    </Sheet>
    <Sheet v-if="history" :title="'History' + (named ? ': ' + named.deviceId + ' ' + named.condition : '')" class="wide" @gone="$emit('history', { id: null })">
      <ol class="history"><li v-for="step in history.steps" :key="step.alarm.version || 1">
        <span class="time">{{ when(step.time, now, true) }}</span>
        <span><strong>{{ step.verb.replaceAll("-", " ") }}</strong> by {{ step.actor }}<template v-if="step.reason">: <q>{{ step.reason }}</q></template><small>{{ STATES[step.before] }} → {{ STATES[step.alarm.state] }}</small></span>
      </li></ol>
    </Sheet>
  </div>`,
};
