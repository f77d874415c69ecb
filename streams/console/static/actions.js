import { Badge, Sheet, device, when } from "console";

const WORDS = {
  requested: "requested", refused: "refused", waiting: "waits for approval", allowed: "allowed", claimed: "about to be sent", sent: "sent",
  succeeded: "done", failed: "failed", expired: "expired", unknown: "not known: needs a person",
};

export default {
  components: { Badge, Sheet },
  props: { actions: Array, may: Boolean, now: String, history: Object, undoable: Array },
  emits: ["approve", "reject", "resolve", "undo", "history"],
  data: () => ({ WORDS, refused: null, reason: "", parked: null, outcome: "succeeded", note: "" }),
  methods: {
    device, when,
    told(action) { const given = Object.entries(action.arguments || {}); return given.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", "); },
    why(cause) { return cause.condition ? `because of ${cause.condition}` : cause.undoes ? `undoes another, for ${cause.principal}` : `asked for by ${cause.principal}`; },
    canUndo(one) { return (one.stage === "sent" || one.stage === "succeeded") && (this.undoable || []).includes(one.action.verb); },
    resolve() { this.$emit("resolve", { id: this.parked.action.actionId, outcome: this.outcome, note: this.note }); this.parked = null; },
    reject() { this.$emit("reject", { id: this.refused.action.actionId, reason: this.reason }); this.refused = null; },
  },
  template: `
  <div class="page">
    <header class="head"><h1>Actions</h1><span class="facts">what waits for a person first</span></header>
    <p v-if="!actions.length" class="none block">No action was asked for. A runbook says which alarms lead to which actions, a policy which of them are allowed.</p>
    <ul class="actions-list"><li v-for="one in actions" :key="one.action.actionId" :class="one.stage" :data-stage="one.stage">
      <Badge :severity="one.action.cause.severity || 'low'" :quiet="one.stage !== 'waiting' && one.stage !== 'unknown'" />
      <div class="what"><span class="title"><strong>{{ one.action.verb }}</strong> <a v-if="one.action.deviceId" :href="device(one.action.deviceId)">{{ one.action.deviceId }}</a> <span v-if="told(one.action)">with {{ told(one.action) }}</span></span>
        <span class="facts"><span>{{ why(one.action.cause) }}</span><span v-if="one.rule">rule {{ one.rule }}</span><a v-if="one.action.cause.faultId" :href="'/faults/' + encodeURIComponent(one.action.cause.faultId)">fault</a><span v-if="one.detail">{{ one.detail }}</span><span v-if="one.stage === 'waiting'">expires {{ when(one.action.expiresAt, now) }}</span></span></div>
      <span class="stage-word">{{ WORDS[one.stage] || one.stage }}<small>{{ when(one.at, now, true) }}</small></span>
      <div class="verbs"><template v-if="one.stage === 'waiting' && may"><button type="button" class="main" :aria-label="'Approve ' + one.action.verb + ' ' + one.action.deviceId" @click="$emit('approve', { id: one.action.actionId })">Approve</button><button type="button" :aria-label="'Reject ' + one.action.verb + ' ' + one.action.deviceId" @click="refused = one; reason = ''">Reject</button></template>
        <button v-if="one.stage === 'unknown' && may" type="button" class="main" :aria-label="'Resolve ' + one.action.verb + ' ' + (one.action.deviceId || 'the plant')" @click="parked = one; outcome = 'succeeded'; note = ''">Resolve</button>
        <button v-if="may && canUndo(one)" type="button" :aria-label="'Undo ' + one.action.verb + ' ' + (one.action.deviceId || 'the plant')" @click="$emit('undo', { id: one.action.actionId })">Undo</button>
        <button type="button" class="plain" :aria-label="'History of ' + one.action.verb + ' ' + one.action.deviceId" @click="$emit('history', { id: one.action.actionId })">History</button></div>
    </li></ul>
    <Sheet v-if="refused" :title="'Reject: ' + refused.action.verb + ' ' + refused.action.deviceId" @gone="refused = null"><form @submit.prevent="reject"><label for="reason">Reason</label><textarea id="reason" v-model="reason" required maxlength="1000" autofocus></textarea><div class="buttons"><button type="button" @click="refused = null">Cancel</button><button class="main">Reject</button></div></form></Sheet>
    <Sheet v-if="parked" :title="'What became of: ' + parked.action.verb + ' ' + (parked.action.deviceId || 'the plant')" @gone="parked = null"><form @submit.prevent="resolve"><label for="outcome">Outcome</label><select id="outcome" v-model="outcome"><option value="succeeded">it was done</option><option value="failed">it was sent and failed</option><option value="never-sent">it was never sent</option></select><label for="note">How that is known</label><textarea id="note" v-model="note" required maxlength="1000"></textarea><div class="buttons"><button type="button" @click="parked = null">Cancel</button><button class="main">Resolve</button></div></form></Sheet>
    <Sheet v-if="history" title="History" class="wide" @gone="$emit('history', { id: null })"><ol class="history"><li v-for="(step, place) in history.steps" :key="place"><span class="time">{{ when(step.at, now, true) }}</span><span><strong>{{ WORDS[step.stage] || step.stage }}</strong><template v-if="step.detail">: <q>{{ step.detail }}</q></template><small v-if="step.rule">rule {{ step.rule }}</small></span></li></ol></Sheet>
  </div>`,
};
