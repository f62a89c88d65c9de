// @ts-check
// Who can see the conversation: the button that says it, and the dialog in which its owner shares it.
import { h } from "vue";
import { showDialog } from "wireside-kit/dialogs.js";
import { icon } from "wireside-kit/icons.js";
import { ask } from "wireside-kit/saved.js";

/** @satisfies {ThisType<Header>} */
export const people = {
  // "Shared with Grace and 2 others"; for a conversation of another user, "Shared by Ada".
  sharedText() {
    const { words: w, sharedNow: sharedWith } = this;
    if (!sharedWith) return "";
    if (sharedWith.right !== "own") return w.shared_by.replace("{name}", sharedWith.owner);
    const [first, ...others] = sharedWith.names;
    if (!first) return w.shared_nobody;
    const text = [w.shared_one, w.shared_two, w.shared_more][Math.min(others.length, 2)];
    const count = others.length.toLocaleString(document.documentElement.lang);
    // the names are inserted last: they may contain braces
    return text
      .replace("{count}", count)
      .replace(/\{(name|other)\}/g, (_, part) => (part === "name" ? first : others[0]));
  },

  peopleButton() {
    const text = this.sharedText();
    if (!text || !this.conversation) return null;
    return h(
      "button",
      {
        type: "button",
        class: "ws-text-tool ws-header-people",
        "data-testid": "shared-with",
        "aria-haspopup": "dialog",
        "aria-label": text,
        title: text,
        onClick: this.openPeople,
      },
      [icon("people"), h("span", { dir: "auto" }, text)],
    );
  },

  openPeople() {
    this.people = { isLoading: true, isBusy: false, problem: "", said: "", audience: null };
    this.invited = { kind: "user", name: "", access: "read" };
    this.readPeople();
  },

  async readPeople() {
    const { people } = this;
    if (!people) return;
    const address = this.addressOfMembers();
    people.isLoading = true;
    people.problem = "";
    const found = await this.requestPeople(address);
    if (found) people.audience = found.data;
    people.isLoading = false;
  },

  addressOfMembers() {
    return `${this.base}/api/conversations/${this.conversation?.id}/members`;
  },

  /**
   * Sends a request; returns whether it was answered, with the answer, and shows why it was not.
   * @param {string} address
   * @param {string} [method]
   * @param {unknown} [body]
   */
  async requestPeople(address, method = "GET", body = undefined) {
    const { people } = this;
    if (!people) return null;
    people.problem = "";
    const { data, problem } = await ask(address, method, body);
    if (!problem) return { data };
    const isUnknown = problem.code === "bad_message" && method === "PUT" && problem.message;
    people.problem = isUnknown ? this.words.people_no_user : problem.message || this.words.offline;
    return null;
  },

  /**
   * Shares with a user or a group, or changes what it may do.
   * @param {{ kind: string, name: string, access: string }} member
   */
  async putMember({ kind, name, access }) {
    const { people, words: w } = this;
    if (!people?.audience || people.isBusy || !name.trim()) return;
    people.isBusy = true;
    const answer = await this.requestPeople(this.addressOfMembers(), "PUT", {
      kind,
      name: name.trim(),
      access,
    });
    people.isBusy = false;
    if (!answer) return void this.$nextTick(() => this.$refs.memberName?.focus());
    const member = /** @type {HeaderMember} */ (answer.data);
    const { members } = people.audience;
    const at = members.findIndex((one) => one.kind === member.kind && one.id === member.id);
    if (at < 0) members.push(member);
    else members[at] = member;
    people.said = w.people_added.replace("{name}", () => member.name);
    this.invited = { ...this.invited, name: "" };
    this.$nextTick(() => this.$refs.memberName?.focus());
  },

  /** @param {HeaderMember} member */
  async removeMember(member) {
    const { people, words: w } = this;
    if (!people?.audience || people.isBusy) return;
    people.isBusy = true;
    const query = new URLSearchParams({ kind: member.kind, id: member.id });
    const done = await this.requestPeople(`${this.addressOfMembers()}?${query}`, "DELETE");
    people.isBusy = false;
    if (!done) return;
    people.audience.members = people.audience.members.filter((one) => one !== member);
    people.said = w.people_removed.replace("{name}", () => member.name);
    this.$nextTick(() => (this.$refs.memberName ?? this.$refs.peopleClose)?.focus());
  },

  peopleDialog() {
    const { people, words: w } = this;
    if (!people || !this.conversation) return null;
    const isOwn = this.sharedNow?.right === "own";
    return h(
      "dialog",
      {
        class: "ws-kit-dialog ws-header-shared",
        "data-testid": "people-dialog",
        "aria-labelledby": "ws-header-shared-title",
        onVnodeMounted: (node) =>
          showDialog(/** @type {HTMLDialogElement} */ (/** @type {HTMLElement} */ (node.el))),
        onClose: () => (this.people = null),
        onClick: (e) => e.target === e.currentTarget && (this.people = null),
      },
      [
        h("h2", { id: "ws-header-shared-title" }, w.people_title),
        h("p", isOwn ? w.people_note : this.sharedText()),
        people.isLoading ? h("p", { role: "status" }, w.loading) : this.memberList(isOwn),
        isOwn && people.audience ? this.memberForm() : null,
        h("p", { class: "ws-unseen", role: "status" }, people.said),
        people.problem
          ? h("p", { class: "ws-header-problem", role: "alert" }, [
              people.problem,
              people.audience
                ? null
                : h(
                    "button",
                    { type: "button", class: "ws-button", onClick: this.readPeople },
                    w.try_again,
                  ),
            ])
          : null,
        h(
          "form",
          { method: "dialog" },
          h("button", { ref: "peopleClose", class: "ws-button" }, w.close),
        ),
      ],
    );
  },

  /** @param {boolean} isOwn */
  memberList(isOwn) {
    const { people, words: w } = this;
    if (!people?.audience) return null;
    const { owner, members } = people.audience;
    return h("ul", { class: "ws-header-members", "aria-label": w.people_list }, [
      h("li", { key: "owner" }, [
        icon("person"),
        h("span", { dir: "auto" }, owner),
        h("span", { class: "ws-header-access" }, w.people_owner),
      ]),
      ...members.map((member) =>
        h("li", { key: member.kind + member.id, "data-testid": "member" }, [
          icon(member.kind === "group" ? "people" : "person"),
          h("span", { dir: "auto" }, member.name),
          isOwn
            ? this.accessBox(
                `${w.people_access}: ${member.name}`,
                member.access,
                (access) => void this.putMember({ ...member, access }),
              )
            : h("span", { class: "ws-header-access" }, w["people_" + member.access]),
          isOwn
            ? h(
                "button",
                {
                  type: "button",
                  class: "ws-tool",
                  "data-testid": "remove-member",
                  "aria-label": `${w.people_remove}: ${member.name}`,
                  title: w.people_remove,
                  onClick: () => void this.removeMember(member),
                },
                icon("close"),
              )
            : null,
        ]),
      ),
    ]);
  },

  /**
   * @param {string} label
   * @param {string} value
   * @param {(access: string) => void} choose
   */
  accessBox(label, value, choose) {
    return h(
      "select",
      {
        class: "ws-header-field",
        "aria-label": label,
        value,
        onChange: (e) => choose(e.target.value),
      },
      ["read", "reply"].map((access) =>
        h("option", { value: access, selected: access === value }, this.words["people_" + access]),
      ),
    );
  },

  memberForm() {
    const { people, invited, words: w } = this;
    const groups = people?.audience?.groups ?? [];
    const isGroup = invited.kind === "group";
    return h(
      "form",
      {
        class: "ws-header-invite",
        onSubmit: (/** @type {Event} */ e) => {
          e.preventDefault();
          void this.putMember(invited);
        },
      },
      [
        groups.length
          ? h(
              "select",
              {
                class: "ws-header-field",
                "aria-label": w.people_kind,
                onChange: (e) => {
                  const name = e.target.value === "group" ? groups[0] : "";
                  this.invited = { ...invited, kind: e.target.value, name };
                },
              },
              ["user", "group"].map((kind) =>
                h("option", { value: kind, selected: kind === invited.kind }, w["people_" + kind]),
              ),
            )
          : null,
        isGroup
          ? h(
              "select",
              {
                ref: "memberName",
                class: "ws-header-field ws-header-name",
                "aria-label": w.people_group,
                onChange: (e) => (this.invited = { ...invited, name: e.target.value }),
              },
              groups.map((name) =>
                h("option", { value: name, selected: name === invited.name }, name),
              ),
            )
          : h("input", {
              ref: "memberName",
              class: "ws-header-field ws-header-name",
              "aria-label": w.people_name,
              placeholder: w.people_name,
              maxlength: 200,
              autocomplete: "off",
              autocapitalize: "off",
              spellcheck: false,
              dir: "auto",
              value: invited.name,
              onInput: (e) => (this.invited = { ...invited, name: e.target.value }),
            }),
        this.accessBox(
          w.people_access,
          invited.access,
          (access) => (this.invited = { ...this.invited, access }),
        ),
        h(
          "button",
          {
            class: "ws-button ws-strong",
            "aria-disabled": String(Boolean(people?.isBusy) || !invited.name.trim()),
          },
          w.add,
        ),
      ],
    );
  },
};
