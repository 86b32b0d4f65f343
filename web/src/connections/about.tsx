/** Who is in a conversation, and what can be done about it: mute, invite, block, leave, end. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { Refused } from "../api/http.ts";
import { usePresets } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import type { PeopleConversation as Connected, MemberShown as Member } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { KeptSwitch } from "../parts/kept_switch.tsx";
import { NamesField, withName } from "../parts/names_field.tsx";
import { Sure } from "../parts/sure.tsx";
import { nameOf, others } from "./names.ts";
import { Avatar, Presence } from "./presence.tsx";
import { block, change, end, invite, leave, lookAnew, remove, take, unblock } from "./queries.ts";
import { useWordsOfPeople } from "./words.ts";

interface AboutProps {
  connected: Connected;
  me: string | null;
  onClose: () => void;
}

type Asked = "block" | "leave" | "end" | Member;

export default function About({ connected, me, onClose }: AboutProps) {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { id, kind, members, muted, blocked, status } = connected;
  const [other] = others(connected, me);
  const manages = members.some((member) => member.username === me && member.manages);
  const isOn = status === "active";
  const isGroup = kind === "group";
  const keep = (changing: Promise<Connected>) => changing.then((now) => take(queries, now), sayRefused);
  const left = () => {
    go("/people");
    void lookAnew(queries);
  };
  const ended = async () => {
    await lookAnew(queries);
    onClose();
  };
  return (
    <Dialog title={t(isGroup ? "about.group" : "about.pair")} onClose={onClose} side>
      {isGroup && manages && isOn && <TitleForm connected={connected} onSave={keep} />}
      <section className="field" aria-label={t("members.title")}>
        <ul className="member-list">
          {members.map((member) => (
            <li key={member.id}>
              <span className="person-face">
                <Avatar name={nameOf(member)} />
                <Presence person={member} />
              </span>
              <span>
                {nameOf(member)}
                {member.username === me && ` (${t("you")})`}
                {member.manages && isGroup && <small> {t("manages")}</small>}
                <small className="member-name">@{member.username}</small>
              </span>
              {isGroup && manages && isOn && member.username !== me && (
                <button
                  type="button"
                  className="button small"
                  aria-label={t("member.remove.of", { name: nameOf(member) })}
                  onClick={() => setAsked(member)}
                >
                  {t("remove")}
                </button>
              )}
            </li>
          ))}
        </ul>
      </section>
      {isGroup && manages && isOn && <InviteForm id={id} onInvited={keep} />}
      <KeptSwitch
        label={t("mute")}
        what={t("mute.what")}
        checked={muted}
        keep={async (on) => take(queries, await change(id, { muted: on }))}
      />
      {isGroup && isOn && manages && <BotField connected={connected} onChange={keep} />}
      <div className="actions about-ends">
        {!isGroup && other !== undefined && (
          <button
            type="button"
            className="button"
            onClick={() => (blocked ? void free(other) : setAsked("block"))}
          >
            {t(blocked ? "unblock" : "block")}
          </button>
        )}
        {!isGroup && isOn && (
          <button type="button" className="button danger" onClick={() => setAsked("end")}>
            {t("end")}
          </button>
        )}
        {isGroup && isOn && (
          <button type="button" className="button danger" onClick={() => setAsked("leave")}>
            {t("leave")}
          </button>
        )}
      </div>
      {asked !== null && <Sure {...sure(asked)} onClose={() => setAsked(null)} />}
    </Dialog>
  );

  async function free(person: Member) {
    await unblock(person.id).then(() => lookAnew(queries), sayRefused);
  }

  function sure(what: Asked) {
    switch (what) {
      case "block":
        return {
          title: t("block.sure", { name: other === undefined ? "" : nameOf(other) }),
          what: t("block.what"),
          go: t("block"),
          run: async () => {
            if (other !== undefined) await block(other.id);
            await lookAnew(queries);
          },
        };
      case "end":
        return { title: t("end.sure"), what: t("end.what"), go: t("end"), run: () => end(id).then(ended) };
      case "leave":
        return {
          title: t("leave.sure"),
          what: t("leave.what"),
          go: t("leave"),
          run: () => leave(id).then(left),
        };
      default:
        return {
          title: t("member.remove.sure", { name: nameOf(what) }),
          what: t("member.remove.what"),
          go: t("remove"),
          run: () => remove(id, what.id).then(() => lookAnew(queries)),
        };
    }
  }
}

interface TitleFormProps {
  connected: Connected;
  onSave: (changing: Promise<Connected>) => void;
}

function TitleForm({ connected: { id, title }, onSave }: TitleFormProps) {
  const t = useWordsOfPeople();
  const [written, setWritten] = useState(title);
  const save = (event: FormEvent) => {
    event.preventDefault();
    onSave(change(id, { title: written.trim() }));
  };
  return (
    <form className="field" onSubmit={save}>
      <label htmlFor="group-title">{t("group.title")}</label>
      <div className="adding">
        <input
          id="group-title"
          value={written}
          maxLength={255}
          onChange={(event) => setWritten(event.target.value)}
        />
        <button type="submit" className="button" disabled={["", title].includes(written.trim())}>
          {t("save")}
        </button>
      </div>
    </form>
  );
}

interface InviteFormProps {
  id: string;
  onInvited: (changing: Promise<Connected>) => void;
}

function InviteForm({ id, onInvited }: InviteFormProps) {
  const t = useWordsOfPeople();
  const [names, setNames] = useState<readonly string[]>([]);
  const [writing, setWriting] = useState("");
  const [problem, setProblem] = useState<string>();
  const meant = withName(names, writing);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    try {
      onInvited(Promise.resolve(await invite(id, meant)));
      setNames([]);
      setWriting("");
    } catch (error) {
      if (error instanceof Refused && error.status !== 503) setProblem(error.message);
      else sayRefused(error);
    }
  };
  return (
    <form className="invite" onSubmit={send}>
      <NamesField
        label={t("invite")}
        names={names}
        writing={writing}
        problem={problem}
        removeLabel={(name) => t("begin.without", { name })}
        onChange={(those, written) => {
          setNames(those);
          setWriting(written);
          setProblem(undefined);
        }}
      />
      <button type="submit" className="button" disabled={meant.length === 0}>
        {t("invite.go")}
      </button>
    </form>
  );
}

interface BotFieldProps {
  connected: Connected;
  onChange: (changing: Promise<Connected>) => void;
}

function BotField({ connected: { id, bot }, onChange }: BotFieldProps) {
  const t = useWordsOfPeople();
  const presets = usePresets().data ?? [];
  const isListed = bot === null || presets.some((preset) => preset.id === bot.preset_id);
  return (
    <label className="field">
      <span>{t("bot.invite")}</span>
      <select
        value={bot?.preset_id ?? ""}
        onChange={(event) =>
          onChange(change(id, { preset_id: event.target.value === "" ? null : Number(event.target.value) }))
        }
      >
        <option value="">{t("bot.nobody")}</option>
        {!isListed && <option value={bot.preset_id}>{bot.name}</option>}
        {presets.map((preset) => (
          <option key={preset.id} value={preset.id}>
            {preset.name}
          </option>
        ))}
      </select>
      <small>{bot === null ? t("bot.what") : t("bot.mention", { slug: bot.slug })}</small>
    </label>
  );
}
