// The list of rooms: names, presence, unread counts, search, and moving by keys.

import { copyOf, isField, on, setText } from "#lib/dom";
import { countWords, titleOf } from "#lib/text";
import { fillAvatar, fillAvatarsOf, roomAvatar } from "#models/avatar_view";

export function connect(element, page) {
  const sidebar = new Sidebar(element, page);
  page.sidebar = sidebar;
  const offs = [
    on(page.state, "rooms", () => sidebar.touch()),
    on(page.state, "users", ({ detail }) => sidebar.drawUser(detail)),
    on(element, "keydown", (event) => sidebar.key(event)),
    on(element, "pointerleave", () => sidebar.touch()),
    on(document, "keydown", (event) => sidebar.globalKey(event)),
  ];
  if (sidebar.find) {
    offs.push(on(sidebar.find, "input", () => sidebar.filter()));
    offs.push(on(sidebar.find, "keydown", (event) => sidebar.findKey(event)));
  }
  sidebar.showCurrent();
  sidebar.draw();
  return () => offs.forEach((off) => off());
}

class Sidebar {
  #isTouched = false;

  constructor(element, page) {
    Object.assign(this, { element, page });
    this.find = element.querySelector("[data-find]");
    this.template = document.getElementById("room_link_template");
    this.links = new Map(); // room_id -> link
    for (const link of element.querySelectorAll("[data-room-id]")) {
      this.links.set(Number(link.dataset.roomId), link);
    }
  }

  /** Many facts may come in one turn: drawn once, in the next frame. */
  touch() {
    if (this.#isTouched) return;
    this.#isTouched = true;
    setTimeout(() => {
      this.#isTouched = false;
      this.draw();
    });
  }

  draw() {
    const { rooms } = this.page.state;
    for (const [id, link] of this.links) if (!rooms.has(id)) this.#remove(id, link);
    for (const room of rooms.values()) this.#fill(room, this.links.get(room.id) ?? this.#add(room));
    this.#sort();
    this.#badge();
  }

  #remove(id, link) {
    const group = link.closest("[data-group]");
    link.closest("li").remove();
    this.links.delete(id);
    const title = this.element.querySelector(`#group_${group.dataset.group}`);
    title.hidden = !group.childElementCount;
  }

  #add(room) {
    const item = copyOf(this.template);
    const link = item.querySelector("a");
    link.href = `/rooms/${room.id}`;
    link.dataset.roomId = room.id;
    this.#groupOf(room).append(item);
    this.links.set(room.id, link);
    return link;
  }

  #groupOf(room) {
    const name = room.kind === "direct" ? "people" : "rooms";
    this.element.querySelector(`#group_${name}`).hidden = false;
    return this.element.querySelector(`[data-group="${name}"]`);
  }

  #fill(room, link) {
    const title = titleOf(room, this.page.state);
    setText(link.querySelector(".room-link__name"), title);
    fillAvatar(link.querySelector(".avatar"), roomAvatar(room, this.page.state));
    const unread = room.unread ?? 0;
    link.toggleAttribute("data-unread", unread > 0);
    const count = link.querySelector(".room-link__count");
    count.hidden = !unread;
    setText(count.querySelector("[data-count]"), countWords(unread));
  }

  /** The most recent room comes first; nothing moves under a pointer or the focus. */
  #sort() {
    if (this.element.matches(":hover, :focus-within")) return;
    for (const group of this.element.querySelectorAll("[data-group]")) {
      const newest = (item) => this.#roomOf(item)?.last_hai_id ?? 0;
      const items = [...group.children];
      const sorted = [...items].sort((one, other) => newest(other) - newest(one));
      const isSame = sorted.every((item, index) => item === items[index]);
      if (!isSame) group.append(...sorted);
    }
  }

  #roomOf(item) {
    return this.page.state.rooms.get(Number(item.firstElementChild.dataset.roomId));
  }

  #badge() {
    const count = this.page.state.unreadCount;
    const title = document.title.replace(/^\(\d+\) /, "");
    document.title = count ? `(${count}) ${title}` : title;
    navigator.setAppBadge?.(count).catch(() => undefined);
  }

  /** Wherever they are on the page: here, in the talk, in a list of people. */
  drawUser(user) {
    fillAvatarsOf(document, user);
    this.touch();
  }

  /** After a visit: which room is open. */
  showCurrent() {
    const id = this.page.list?.roomId;
    for (const [roomId, link] of this.links) {
      if (roomId === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.links.get(id)?.scrollIntoView({ block: "nearest" });
  }

  // ---- Finding and keys ----

  filter() {
    const wanted = this.find.value.trim().toLowerCase();
    let found = 0;
    for (const link of this.links.values()) {
      const name = link.querySelector(".room-link__name").textContent.toLowerCase();
      const isFound = name.includes(wanted);
      link.closest("li").hidden = !isFound;
      found += isFound;
    }
    this.element.querySelector("[data-nothing]").hidden = found > 0;
  }

  findKey(event) {
    if (event.key === "Escape") {
      this.find.value = "";
      this.filter();
      this.page.composer?.focus();
    } else if (event.key === "Enter") {
      this.#visible()[0]?.click();
    }
  }

  #visible() {
    const links = [...this.element.querySelectorAll("[data-room-id]")];
    return links.filter((link) => !link.closest("li").hidden);
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = this.#visible();
    const here = links.indexOf(document.activeElement);
    const next = links[here + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  /** Ctrl+K finds a room; Alt+A goes to the next with something unread. */
  globalKey(event) {
    const isFind = (event.ctrlKey || event.metaKey) && event.key === "k";
    if (isFind && this.find) {
      event.preventDefault();
      this.find.focus();
      this.find.select();
    } else if (event.altKey && event.code === "KeyA" && !isField(event.target.closest("dialog"))) {
      event.preventDefault();
      this.element.querySelector("[data-unread]")?.click();
    }
  }
}
