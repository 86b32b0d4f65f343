/** People with an account. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { LinkShown, PeoplePage, PersonAdded, PersonShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import type { Item } from "../parts/menu.tsx";
import { Sure } from "../parts/sure.tsx";
import { say } from "../parts/toasts.ts";
import { Field, type Filled, Form, Switch } from "./form.tsx";
import { Row, Rows } from "./row.tsx";
import { Secret } from "./secret.tsx";
import { Section } from "./section.tsx";
import { useTimes } from "./times.ts";
import { useAdminWords } from "./words.ts";

const PEOPLE = ["admin", "users"];
const PAGE = 50;

type Open =
  | "new"
  | { erase: PersonShown }
  | { link: LinkShown; name: string }
  | { rename: PersonShown }
  | null;

export function Users() {
  const t = useAdminWords();
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const search = useDeferredValue(typed.trim());
  const [open, setOpen] = useState<Open>(null);
  const people = useInfiniteQuery({
    queryKey: [...PEOPLE, search],
    queryFn: ({ pageParam }) => ask<PeoplePage>("GET", `api/admin/users?${pageOf(search, pageParam)}`),
    initialPageParam: "",
    getNextPageParam: ({ users }) => (users.length < PAGE ? undefined : users.at(-1)?.name),
    placeholderData: (before) => before,
  });
  const anew = () => queries.invalidateQueries({ queryKey: PEOPLE });
  const close = () => setOpen(null);
  return (
    <Section
      title={t("users")}
      what={t("users.what")}
      actions={
        <button type="button" className="button primary" onClick={() => setOpen("new")}>
          <Icon name="new" />
          {t("user.new")}
        </button>
      }
    >
      <label className="field people-search">
        <span className="visually-hidden">{t("users.search")}</span>
        <input
          type="search"
          value={typed}
          placeholder={t("users.search")}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      <Fetched query={people}>
        {({ pages }) => (
          <>
            <p className="quiet" role="status">
              {t("users.count", { n: pages[0]?.total ?? 0 })}
            </p>
            <Rows none={t("users.none")}>
              {pages
                .flatMap((page) => page.users)
                .map((user) => (
                  <UserRow key={user.user_id} user={user} onOpen={setOpen} onChange={anew} />
                ))}
            </Rows>
            {people.hasNextPage && (
              <button type="button" className="button" onClick={() => people.fetchNextPage()}>
                {t("show.more")}
              </button>
            )}
          </>
        )}
      </Fetched>
      {open === "new" && <NewUser onClose={close} onChange={anew} />}
      {open !== null && open !== "new" && "link" in open && (
        <Dialog title={open.name} onClose={close}>
          <LinkShownOnce link={open.link} />
        </Dialog>
      )}
      {open !== null && open !== "new" && "rename" in open && (
        <RenameUser user={open.rename} onClose={close} onChange={anew} />
      )}
      {open !== null && open !== "new" && "erase" in open && (
        <Sure
          title={t("erase.title", { name: open.erase.name })}
          what={t("user.erase.what")}
          go={t("erase")}
          run={() => ask("DELETE", pathOf(open.erase)).then(anew)}
          onClose={close}
        />
      )}
    </Section>
  );
}

function pageOf(search: string, after: string): URLSearchParams {
  return new URLSearchParams({ search, after, limit: String(PAGE) });
}

function pathOf(user: PersonShown): string {
  return `api/admin/users/${user.user_id}`;
}

interface UserRowProps {
  user: PersonShown;
  onOpen: (open: Open) => void;
  onChange: () => Promise<void>;
}

function UserRow({ user, onOpen, onChange }: UserRowProps) {
  const t = useAdminWords();
  const times = useTimes();
  const change = (fields: Partial<PersonShown>) =>
    ask("PATCH", pathOf(user), fields).then(onChange, sayRefused);
  const link = () =>
    ask<LinkShown>("POST", `${pathOf(user)}/sign-in-link`, {}).then(
      (made) => onOpen({ link: made, name: user.name }),
      sayRefused,
    );
  const signOut = () =>
    ask("POST", `${pathOf(user)}/sign-out`, {}).then(
      () => say(t("user.signed_out", { name: user.name })),
      sayRefused,
    );
  const items: (Item | "line")[] = [
    { label: t("user.link"), icon: "link", run: link },
    { label: t("user.rename"), icon: "edit", run: () => onOpen({ rename: user }) },
    {
      label: t(user.is_admin ? "user.no_admin" : "user.admin"),
      icon: "shield",
      run: () => change({ is_admin: !user.is_admin }),
    },
    { label: t("user.sign_out"), icon: "out", run: signOut },
    "line",
    {
      label: t(user.disabled ? "enable" : "disable"),
      icon: user.disabled ? "check" : "stop",
      run: () => change({ disabled: !user.disabled }),
    },
    { label: t("erase.more"), icon: "trash", danger: true, run: () => onOpen({ erase: user }) },
  ];
  const said = [user.full_name, user.email === user.name ? "" : user.email].filter(Boolean);
  return (
    <Row
      name={user.name}
      badges={[user.is_admin && ["good", t("user.is_admin")], user.disabled && ["bad", t("disabled")]]}
      items={items}
    >
      <p>{[...said, t("since", { day: times.day(user.created_at) })].join(" · ")}</p>
    </Row>
  );
}

interface DialogProps {
  onClose: () => void;
  onChange: () => Promise<void>;
}

function NewUser({ onClose, onChange }: DialogProps) {
  const t = useAdminWords();
  const [added, setAdded] = useState<PersonAdded | null>(null);
  const save = async (filled: Filled) => {
    const email = filled.text("email");
    const body = {
      name: filled.text("name"),
      full_name: filled.text("full_name"),
      is_admin: filled.on("is_admin"),
      ...(email === "" ? {} : { email }),
    };
    setAdded(await ask<PersonAdded>("POST", "api/admin/users", body));
    await onChange();
  };
  return (
    <Dialog
      title={added === null ? t("user.new") : t("user.added", { name: added.user.name })}
      onClose={onClose}
    >
      {added === null ? (
        <Form save={save} onCancel={onClose} go={t("add")} about="name">
          <Field name="name" label={t("user.name")} hint={t("user.name.hint")} required most={250} plain />
          <Field name="full_name" label={t("user.full_name")} most={255} />
          <Field name="email" label={t("user.email")} type="email" most={250} plain />
          <Switch name="is_admin" label={t("user.may")} hint={t("user.may.hint")} />
        </Form>
      ) : (
        <LinkShownOnce link={added.sign_in_link} />
      )}
    </Dialog>
  );
}

function RenameUser({ user, onClose, onChange }: DialogProps & { user: PersonShown }) {
  const t = useAdminWords();
  const save = async (filled: Filled) => {
    await ask("PATCH", pathOf(user), { full_name: filled.text("full_name") });
    await onChange();
    onClose();
  };
  return (
    <Dialog title={user.name} onClose={onClose}>
      <Form save={save} onCancel={onClose} go={t("save")}>
        <Field name="full_name" label={t("user.full_name")} value={user.full_name} most={255} />
      </Form>
    </Dialog>
  );
}

function LinkShownOnce({ link }: { link: LinkShown }) {
  const t = useAdminWords();
  const times = useTimes();
  const what = t("user.link.what", { time: times.time(link.expires_at) });
  return <Secret label={t("user.link")} text={link.url} what={what} />;
}
