// The frame of every page: where one can go, how many alarms wait, the plant's time, the theme, the keys.
import { Sheet, clock, day } from "console";

const PAGES = [
  { key: "plant", href: "/", label: "Plant", hint: "p" },
  { key: "alarms", href: "/alarms", label: "Alarms", hint: "a" },
  { key: "figures", href: "/figures", label: "Figures", hint: "f" },
  { key: "actions", href: "/actions", label: "Actions", hint: "t" },
  { key: "instructions", href: "/instructions", label: "Instructions", hint: "i" },
];
const KEYS = [
  ["g then p, a, f, t, i", "go to plant, alarms, figures, actions, instructions"],
  ["/", "search for a device, or filter the list"],
  ["Tab, Shift+Tab", "from one thing to the next; the focus is always framed"],
  ["Enter", "open a device, a zone, a fault"],
  ["arrows, + and −, 0", "in the drawing: move, zoom, show all"],
  ["j, k", "in the list of alarms: next, previous"],
  ["x", "in the list of alarms: acknowledge"],
  ["d", "light or dark"],
  ["Esc", "close what is open; leave a fault"],
  ["?", "this list"],
];

export default {
  components: { Sheet },
  props: { here: String, site: String, closed: Boolean, head: Object },
  data: () => ({ PAGES, KEYS, help: false, dark: false, went: false, toasts: [], next: 1 }),
  mounted() {
    this.dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    window.addEventListener("keydown", this.key);
  },
  unmounted() { window.removeEventListener("keydown", this.key); },
  methods: {
    clock, day,
    say(words, bad) {
      const toast = { id: this.next++, words, bad };
      this.toasts = [...this.toasts.slice(-3), toast];
      setTimeout(() => this.hush(toast), bad ? 12000 : 5000);
    },
    hush(toast) { this.toasts = this.toasts.filter((other) => other.id !== toast.id); },
    turn() {
      this.dark = !this.dark;
      document.documentElement.dataset.theme = this.dark ? "dark" : "light";
      localStorage.setItem("openautoglm-theme", document.documentElement.dataset.theme);
    },
    key(event) {
      const typing = event.target.closest("input, textarea, select, dialog");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (this.went) {
        this.went = false;
        const page = PAGES.find((one) => one.hint === event.key);
        if (page) location.assign(page.href);
        return;
      }
      if (event.key === "?") this.help = true;
      else if (event.key === "g") { this.went = true; setTimeout(() => (this.went = false), 1500); }
      else if (event.key === "d") this.turn();
      else if (event.key === "/") {
        const search = document.querySelector("input[type=search]");
        if (search) { search.focus(); event.preventDefault(); }
      }
    },
  },
  template: `
  <div class="shell">
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <a class="mark" href="/" aria-label="Open-AutoGLM, the plant">
        <svg viewBox="-12 -12 24 24" aria-hidden="true"><path d="M-7 6L0-7L7 6M-4 1H4" /><circle cx="-7" cy="6" r="2.5"/><circle cx="0" cy="-7" r="2.5"/><circle cx="7" cy="6" r="2.5"/></svg>
        <span class="site">{{ site }}</span>
      </a>
      <nav aria-label="Pages">
        <a v-for="page in PAGES" :key="page.key" :href="page.href" :aria-current="page.key === here ? 'page' : null">
          {{ page.label }}<span v-if="page.key === 'alarms' && head && head.alarms" class="count" :class="{ asking: head.unacknowledged }"
            :aria-label="head.alarms + ' alarms, ' + head.unacknowledged + ' not acknowledged'">{{ head.alarms }}</span>
          <span v-if="page.key === 'actions' && head && head.waiting" class="count" aria-label="waiting for approval">{{ head.waiting }}</span>
        </a>
      </nav>
      <div class="aside">
        <span v-if="head && head.now" class="time" title="The time up to which the plant is known"><small>{{ day(head.now) }}</small> {{ clock(head.now, true) }}</span>
        <span v-else class="time"><small>no events yet</small></span>
        <button type="button" class="plain" :aria-label="dark ? 'Light theme' : 'Dark theme'" :title="dark ? 'Light (d)' : 'Dark (d)'" @click="turn">{{ dark ? "☀" : "☾" }}</button>
        <button type="button" class="plain" aria-label="Keys" title="Keys (?)" @click="help = true">?</button>
        <span v-if="head" class="who" :title="head.who">{{ head.who }}</span>
        <form v-if="closed" method="post" action="/logout"><button class="plain">Log out</button></form>
      </div>
    </header>
    <p v-if="head && head.flood" class="flood" role="status">
      <strong>Alarm flood</strong> since {{ clock(head.flood.openedAt) }}: {{ head.flood.alarms }} alarms, at most {{ head.flood.peak }} in ten minutes. Look at the faults first.
    </p>
    <main id="main" tabindex="-1"><slot /></main>
    <div class="toasts" role="status" aria-live="polite">
      <div v-for="toast in toasts" :key="toast.id" class="toast" :class="{ bad: toast.bad }">
        <span>{{ toast.words }}</span><button type="button" class="plain" aria-label="Dismiss" @click="hush(toast)">✕</button>
      </div>
    </div>
    <Sheet v-if="help" title="Keys" @gone="help = false">
      <dl class="keys"><template v-for="[key, what] in KEYS" :key="key"><dt>{{ key }}</dt><dd>{{ what }}</dd></template></dl>
    </Sheet>
  </div>`,
};
