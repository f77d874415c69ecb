// A sentence, the plan that it becomes, and how it goes. All words stand in Vue's templates as text, in the drawing too.
import { device, number, when } from "console";

const STATES = {
  pending: ["○", "not begun"], running: ["◐", "running"], waiting: ["◷", "waits for approval"], succeeded: ["✓", "done"], failed: ["✕", "failed"],
  skipped: ["–", "left out"], cancelled: ["⊘", "cancelled"], unknown: ["?", "not known: needs a person"],
};
const RUNS = { planned: "planned, not begun", running: "running", succeeded: "done", partial: "partly done", failed: "failed", cancelled: "cancelled" };
const LINE = 17;

export default {
  props: {
    longest: Number, busy: String, problem: String, missing: String, questions: Array, asked: String, run: Object, plan: Object, tasks: Array, may: Object,
    runs: Array,
  },
  emits: ["plan", "run", "dry", "cancel", "look"],
  data: () => ({ STATES, RUNS, LINE, text: "" }),
  computed: {
    byKey() { return Object.fromEntries(this.tasks.map((one) => [one.task.key, one])); },
    waits() { return this.tasks.filter((one) => one.task.state === "waiting").length; },
  },
  watch: {
    asked(text) { if (text && !this.text) this.text = text; },
    run(run, before) {
      const path = run ? `/instructions/${encodeURIComponent(run.runId)}` : "/instructions";
      if ((run && run.runId) !== (before && before.runId)) history.replaceState(history.state, "", path);
    },
  },
  methods: {
    device, when,
    state(key) { const one = this.byKey[key]; return one ? one.task.state : "pending"; },
    word(state) { return STATES[state] ? STATES[state][1] : state; },
    mark(state) { return STATES[state] ? STATES[state][0] : ""; },
    shown(value) { return typeof value === "number" ? number(value) : value === null || value === undefined ? "–" : value === true ? "yes" : value === false ? "no" : String(value); },
    spaced(name) { return name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(); },
    isDevice(column) { return column === "deviceId" || column === "device"; },
    submit() { if (this.text.trim() && !this.busy) this.$emit("plan", { text: this.text }); },
  },
  template: `
  <div class="page instructions">
    <header class="head"><h1>Instructions</h1><span class="facts">say what is to be done, look at the plan, let it run</span></header>
    <p v-if="problem" class="none block" role="alert">{{ problem }}</p>
    <div v-else class="columns plans">
      <div class="stack">
        <section aria-label="Instruction"><form class="say" @submit.prevent="submit">
          <label for="instruction">What is to be done, in English or Chinese</label>
          <textarea id="instruction" v-model="text" :maxlength="longest" rows="3" placeholder="show the level of tank-3 since this morning, draw it, and tell maintenance if it is below 2" @keydown.ctrl.enter.prevent="submit"></textarea>
          <div class="verbs"><span class="facts">{{ text.length }} of {{ longest }} characters</span><span v-if="busy" class="facts" role="status">{{ busy }}</span><button class="main" :disabled="!text.trim() || !!busy">Plan</button></div></form>
          <p v-if="missing" class="none" role="alert">{{ missing }}</p>
          <div v-if="questions.length" class="asks" role="alert"><h2>{{ run ? "To be sure" : "Not planned: this is unclear" }}</h2><ul><li v-for="(question, place) in questions" :key="place">{{ question }}</li></ul></div></section>

        <section v-if="run" aria-label="Plan">
          <header class="plan-head"><div><h2>{{ run.state === "planned" ? "Plan: nothing has run yet" : run.dry ? "Dry run: nothing is changed" : "Run" }}</h2><p class="said">{{ run.text }}</p>
            <span class="facts"><span class="run-state" :data-run-state="run.state"><strong>{{ RUNS[run.state] || run.state }}</strong></span>, {{ run.ended }} of {{ run.tasks }} tasks ended, for {{ run.principal }}<template v-if="run.cancelledBy">, cancelled by {{ run.cancelledBy }}</template></span></div>
            <div class="verbs"><button v-if="may && may.run" type="button" class="main" :disabled="!!busy" @click="$emit('run', { digest: run.digest })">Run</button><button v-if="may && may.dry" type="button" :disabled="!!busy" @click="$emit('dry', { digest: run.digest })">Dry run</button><button v-if="may && may.cancel" type="button" @click="$emit('cancel', { id: run.runId })">Cancel</button></div></header>
          <p v-if="waits" class="waits" role="status">{{ waits }} waiting for approval: <a href="/actions">to the actions</a></p>
          <div v-if="plan" class="plan-room" tabindex="0" role="group" aria-label="Drawing of the plan"><svg class="plan-drawing" :viewBox="'-4 -4 ' + (plan.width + 8) + ' ' + (plan.height + 12)" :width="plan.width + 8" :height="plan.height + 12">
            <defs><marker id="plan-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" /></marker></defs>
            <g v-for="arrow in plan.arrows" :key="arrow.source + ' ' + arrow.target" class="plan-arrow" :class="{ choice: arrow.condition }" :data-arrow="arrow.source + ' ' + arrow.target"><path :d="arrow.path" marker-end="url(#plan-tip)" /></g>
            <g v-for="box in plan.boxes" :key="box.key" class="plan-task" :class="state(box.key)" :data-task="box.key" :data-state="state(box.key)" :transform="'translate(' + box.x + ',' + box.y + ')'"><title>{{ box.told }}</title>
              <rect :width="box.width" :height="box.height" rx="4" /><rect class="plan-side" width="5" :height="box.height" rx="2" />
              <text class="plan-title" x="14" :y="22">{{ box.title }}</text>
              <text v-for="(line, place) in box.lines" :key="place" x="14" :y="22 + LINE * (place + 1)">{{ line }}</text>
              <text v-if="box.why" class="plan-why" x="14" :y="22 + LINE * (box.lines.length + 1)">{{ box.why }}</text>
              <text class="plan-state" x="14" :y="box.height - 9">{{ mark(state(box.key)) }} {{ word(state(box.key)) }}</text></g>
            <text v-for="arrow in plan.arrows.filter((one) => one.condition)" :key="'c' + arrow.source + ' ' + arrow.target" class="plan-condition" :x="arrow.x" :y="arrow.y">{{ arrow.condition }}</text>
          </svg></div>
        </section>

        <section v-if="run" aria-label="Tasks"><h2>Tasks</h2>
          <ol class="tasks"><li v-for="{ task, parts } in tasks" :key="task.key" :class="task.state" :data-result="task.key">
            <div class="task-line"><strong>{{ spaced(task.tool) }}</strong><span v-if="task.key !== task.tool" class="facts">{{ task.key }}</span><span v-if="task.attempt > 1" class="tag">attempt {{ task.attempt }}</span><span class="task-state">{{ mark(task.state) }} {{ word(task.state) }}</span></div>
            <p v-if="task.why" class="facts">because of <q>{{ task.why }}</q></p><p v-for="condition in task.when" :key="condition" class="facts">only if {{ condition }}</p>
            <p v-if="task.detail" class="detail">{{ task.detail }}<template v-if="task.state === 'waiting' || task.state === 'unknown'"> <a href="/actions">To the actions</a></template></p>
            <div v-for="part in parts" :key="part.name" class="part" :data-part="part.name">
              <template v-if="part.file"><a v-if="part.href" :href="part.href" :download="part.file">{{ part.file }}</a><span v-else>{{ part.file }} <small>not written by a dry run</small></span><img v-if="part.href && part.file.endsWith('.svg')" :src="part.href" :alt="'Picture ' + part.file" /></template>
              <template v-else-if="part.columns"><h3>{{ spaced(part.name) }}</h3><div class="plan-room"><table class="figures"><thead><tr><th v-for="column in part.columns" :key="column">{{ spaced(column) }}</th></tr></thead>
                <tbody><tr v-for="(row, place) in part.rows" :key="place"><td v-for="(cell, at) in row" :key="at" :class="{ num: typeof cell === 'number' }"><a v-if="isDevice(part.columns[at]) && cell" :href="device(String(cell))">{{ cell }}</a><template v-else>{{ shown(cell) }}</template></td></tr></tbody></table></div><p v-if="part.more" class="none">and {{ part.more }} more</p></template>
              <template v-else-if="part.facts"><h3>{{ spaced(part.name) }}<a v-if="part.action" href="/actions" class="beside">to the actions</a></h3><dl class="facts-list"><template v-for="[name, value] in part.facts" :key="name"><dt>{{ spaced(name) }}</dt><dd>{{ shown(value) }}</dd></template></dl></template>
              <template v-else><span class="facts">{{ spaced(part.name) }}</span> <strong>{{ shown(part.value) }}</strong><small v-if="part.more"> and {{ part.more }} more</small></template>
            </div></li></ol></section>
      </div>
      <section aria-label="Newest runs"><h2>Newest runs</h2><p v-if="!runs.length" class="none">Nothing was asked for yet.</p>
        <ul class="runs"><li v-for="one in runs" :key="one.runId"><a :href="'/instructions/' + encodeURIComponent(one.runId)" :aria-current="run && run.runId === one.runId ? 'page' : null" :data-run="one.runId" @click.exact.prevent="$emit('look', { id: one.runId })">{{ one.text }}</a>
          <span class="facts"><strong>{{ RUNS[one.state] || one.state }}</strong><template v-if="one.dry">, dry</template>, {{ one.ended }}/{{ one.tasks }}, {{ one.principal }}, {{ when(one.askedAt, null) }}</span></li></ul></section>
    </div>
  </div>`,
};
