/** Every model that was ever offered here: what it is called, what it takes and costs, and whether people may choose it. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { AdminModel, PriceList, PriceShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Fetched } from "../parts/fetched.tsx";
import type { Item } from "../parts/menu.tsx";
import { MILLIONTHS } from "../parts/money.ts";
import { Field, type Filled, Form, Switch } from "./form.tsx";
import { priceOf, toMillionths } from "./prices.ts";
import { Row, Rows } from "./row.tsx";
import { Section } from "./section.tsx";
import { MODELS, useAnew } from "./serving.ts";
import { useNumbers, useTimes } from "./times.ts";
import { useAdminWords } from "./words.ts";

const PRICES = ["admin", "prices"];

type Open = { edit: AdminModel } | { price: AdminModel } | null;

export function usePrices() {
  return useQuery({ queryKey: PRICES, queryFn: () => ask<PriceList>("GET", "api/admin/prices") });
}

export function Models() {
  const t = useAdminWords();
  const models = useQuery({
    queryKey: MODELS,
    queryFn: () => ask<AdminModel[]>("GET", "api/admin/models"),
    staleTime: 0,
  });
  const prices = usePrices().data;
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return (
    <Section title={t("models")} what={t("models.what")}>
      <Fetched query={models}>
        {(all) => (
          <Rows none={t("models.none")}>
            {all.map((model) => (
              <ModelRow key={model.id} model={model} prices={prices} onOpen={setOpen} />
            ))}
          </Rows>
        )}
      </Fetched>
      {open !== null && "edit" in open && <ModelForm model={open.edit} onClose={close} />}
      {open !== null && "price" in open && <Prices model={open.price} onClose={close} />}
    </Section>
  );
}

interface ModelRowProps {
  model: AdminModel;
  prices: PriceList | undefined;
  onOpen: (open: Open) => void;
}

function ModelRow({ model, prices, onOpen }: ModelRowProps) {
  const t = useAdminWords();
  const numbers = useNumbers();
  const anew = useAnew();
  const change = (fields: Partial<AdminModel>) =>
    ask("PATCH", `api/admin/models/${model.id}`, fields).then(anew, sayRefused);
  const price = prices && priceOf(prices.prices, model.name, Date.now());
  const items: (Item | "line")[] = [
    { label: t("edit"), icon: "edit", run: () => onOpen({ edit: model }) },
    { label: t("prices"), icon: "spark", run: () => onOpen({ price: model }) },
    "line",
    ...(model.is_available && !model.is_default
      ? [{ label: t("model.default.make"), icon: "check", run: () => change({ is_default: true }) } as const]
      : []),
    {
      label: t(model.is_hidden ? "model.show" : "model.hide"),
      icon: "stop",
      run: () => change({ is_hidden: !model.is_hidden }),
    },
  ];
  const said = [
    model.display_name === model.name ? "" : model.name,
    model.context_length === null ? "" : t("model.takes", { tokens: numbers.whole(model.context_length) }),
    model.servers.length === 0 ? "" : t("model.by", { names: model.servers.join(", ") }),
  ].filter(Boolean);
  return (
    <Row
      name={model.display_name}
      badges={[
        model.is_default && ["good", t("model.default")],
        !model.is_available && ["warn", t("model.away")],
        model.is_hidden && ["plain", t("model.hidden")],
      ]}
      items={items}
    >
      {model.description && <p>{model.description}</p>}
      {said.length > 0 && <p>{said.join(" · ")}</p>}
      {prices && price && (
        <p>
          {t("price.words", {
            input: numbers.money(price.input, prices.currency),
            output: numbers.money(price.output, prices.currency),
          })}
        </p>
      )}
    </Row>
  );
}

function ModelForm({ model, onClose }: { model: AdminModel; onClose: () => void }) {
  const t = useAdminWords();
  const anew = useAnew();
  const save = async (filled: Filled) => {
    const context = filled.number("context_length");
    await ask("PATCH", `api/admin/models/${model.id}`, {
      display_name: filled.text("display_name"),
      description: filled.text("description"),
      capabilities: filled.list("capabilities"),
      is_hidden: filled.on("is_hidden"),
      // What its servers tell stays theirs to tell.
      ...(context === model.context_length ? {} : { context_length: context }),
      ...(filled.on("is_default") && !model.is_default ? { is_default: true } : {}),
    });
    await anew();
    onClose();
  };
  return (
    <Dialog title={model.name} onClose={onClose} side>
      <Form save={save} onCancel={onClose} go={t("save")}>
        <Field
          name="display_name"
          label={t("model.display_name")}
          value={model.display_name}
          required
          most={200}
        />
        <Field
          name="description"
          label={t("model.description")}
          value={model.description}
          rows={3}
          most={2000}
        />
        <Field
          name="context_length"
          label={t("model.context")}
          hint={t("model.context.hint")}
          value={model.context_length}
          type="number"
          min={1}
        />
        <Field
          name="capabilities"
          label={t("model.capabilities")}
          hint={t("model.capabilities.hint")}
          value={model.capabilities.join(", ")}
          plain
        />
        {!model.is_default && (
          <Switch name="is_default" label={t("model.default.is")} hint={t("model.default.hint")} />
        )}
        <Switch
          name="is_hidden"
          label={t("model.hidden.is")}
          hint={t("model.hidden.hint")}
          on={model.is_hidden}
        />
      </Form>
    </Dialog>
  );
}

function Prices({ model, onClose }: { model: AdminModel; onClose: () => void }) {
  const t = useAdminWords();
  const queries = useQueryClient();
  const prices = usePrices();
  const anew = () => queries.invalidateQueries({ queryKey: PRICES });
  const add = async (filled: Filled) => {
    const since = filled.text("since");
    const cached = filled.text("cached_input");
    await ask("POST", "api/admin/prices", {
      model: model.name,
      input: toMillionths(filled.text("input")),
      output: toMillionths(filled.text("output")),
      ...(cached === "" ? {} : { cached_input: toMillionths(cached) }),
      ...(since === "" ? {} : { since }),
    });
    await anew();
  };
  const current = priceOf(prices.data?.prices ?? [], model.name, Date.now());
  const shown = (millionths: number | undefined) => (millionths === undefined ? "" : millionths / MILLIONTHS);
  return (
    <Dialog title={t("prices.of", { name: model.name })} onClose={onClose} side>
      <p className="quiet">{t("prices.what")}</p>
      <Fetched query={prices}>
        {({ prices: all, currency }) => (
          <Rows none={t("prices.none")}>
            {all
              .filter((price) => price.model === model.name)
              .map((price) => (
                <PriceRow
                  key={price.since}
                  price={price}
                  currency={currency}
                  isCurrent={price === current}
                  onChange={anew}
                />
              ))}
          </Rows>
        )}
      </Fetched>
      <h3>{t("price.new", { currency: prices.data?.currency ?? "" })}</h3>
      <Form save={add} go={t("price.add")} about="since">
        <Field
          name="input"
          label={t("price.input")}
          value={shown(current?.input)}
          required
          type="number"
          min={0}
          step="any"
        />
        <Field
          name="cached_input"
          label={t("price.cached")}
          hint={t("price.cached.hint")}
          type="number"
          min={0}
          step="any"
        />
        <Field
          name="output"
          label={t("price.output")}
          value={shown(current?.output)}
          required
          type="number"
          min={0}
          step="any"
        />
        <Field name="since" label={t("price.since")} hint={t("price.since.hint")} type="date" />
      </Form>
    </Dialog>
  );
}

interface PriceRowProps {
  price: PriceShown;
  currency: string;
  isCurrent: boolean;
  onChange: () => Promise<void>;
}

function PriceRow({ price, currency, isCurrent, onChange }: PriceRowProps) {
  const t = useAdminWords();
  const times = useTimes();
  const money = useNumbers().money;
  const named = new URLSearchParams({ model: price.model, since: price.since });
  const isToCome = Date.parse(price.since) > Date.now();
  const takeBack = () => ask("DELETE", `api/admin/prices?${named}`).then(onChange, sayRefused);
  return (
    <li className="admin-row">
      <div className="admin-row-words">
        <h3>
          <span>{times.moment(price.since)}</span>
          {isCurrent && <span className="state good">{t("price.current")}</span>}
          {isToCome && <span className="state plain">{t("price.to_come")}</span>}
        </h3>
        <p>
          {t("price.words", { input: money(price.input, currency), output: money(price.output, currency) })}
        </p>
        <p>{t("price.words.cached", { cached: money(price.cached_input, currency) })}</p>
      </div>
      {isToCome && (
        <button type="button" className="button small" onClick={takeBack}>
          {t("price.take_back")}
        </button>
      )}
    </li>
  );
}
