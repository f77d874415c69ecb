// Faults, the open ones first; the one that is chosen told in words: where it began, which way it went, what is next.
import { clock, device, lag, lasted, percent, when } from "console";

const FEW = 8; // steps of a path before the others are asked for

export const Faults = {
  name: "Faults",
  props: { faults: Array, overlay: Object, chosen: String, now: String },
  emits: ["choose"],
  data: () => ({ FEW, all: false }),
  watch: { chosen() { this.all = false; } },
  methods: {
    clock, device, lag, lasted, percent, when,
    first(fault) { return fault.origins.length ? fault.origins[0] : null; },
  },
  template: `
  <section class="faults" aria-label="Faults">
    <h2>Faults</h2>
    <p v-if="!faults || !faults.length" class="none">No fault has been found.</p>
    <ul>
      <li v-for="fault in faults" :key="fault.faultId" :class="{ open: !fault.closedAt, chosen: fault.faultId === chosen }">
        <button type="button" :data-fault="fault.faultId" :aria-pressed="fault.faultId === chosen" @click="$emit('choose', fault.faultId === chosen ? null : fault.faultId)">
          <span class="what"><strong>{{ first(fault) ? first(fault).deviceId : "origin not known" }}</strong><span v-if="first(fault)" class="chance">{{ percent(first(fault).probability) }}</span></span>
          <span class="facts">{{ fault.closedAt ? "closed" : "open" }} · {{ when(fault.openedAt, now) }} · {{ fault.affected.length }} affected</span>
        </button>
        <div v-if="fault.faultId === chosen && overlay" class="story">
          <h3>Began at</h3>
          <ol class="origins"><li v-for="origin in overlay.fault.origins.slice(0, 5)" :key="origin.deviceId"><a :href="device(origin.deviceId)">{{ origin.deviceId }}</a><meter :value="origin.probability" max="1" aria-hidden="true"></meter><span>{{ percent(origin.probability) }}</span></li></ol>
          <template v-if="overlay.fault.path.length"><h3>Took this way</h3>
          <ol class="way"><li v-for="(step, place) in overlay.fault.path.slice(0, all ? undefined : FEW)" :key="place">{{ step.source }} <span aria-label="to">→</span> {{ step.target }} <span class="lag">{{ lag(step.lagSeconds) }}</span></li></ol>
          <button v-if="!all && overlay.fault.path.length > FEW" type="button" class="plain" @click="all = true">{{ overlay.fault.path.length - FEW }} more steps</button></template>
          <template v-if="overlay.fault.affected.length"><h3>Hit</h3>
          <ul class="hit"><li v-for="part in overlay.fault.affected" :key="part.deviceId"><a :href="device(part.deviceId)">{{ part.deviceId }}</a> <span>{{ clock(part.onset) }}</span></li></ul></template>
          <template v-if="overlay.fault.forecast && overlay.fault.forecast.length"><h3>Next</h3>
          <ul class="next"><li v-for="part in overlay.fault.forecast" :key="part.deviceId"><a :href="device(part.deviceId)">{{ part.deviceId }}</a> <span>expected {{ clock(part.expectedAt) }}, {{ percent(part.probability) }}</span></li></ul></template>
          <p class="facts">As known {{ when(overlay.fault.updatedAt, now) }}<template v-if="fault.closedAt">; closed after {{ lasted(fault.openedAt, fault.closedAt) }}</template></p>
        </div>
      </li>
    </ul>
  </section>`,
};
