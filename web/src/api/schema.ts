// Made by scripts/api_types.py from the OpenAPI document. Do not edit it.

export interface AccountShown {
  user_id: string;
  username: string;
  email: string;
  full_name: string;
  language: string | null;
  is_admin: boolean;
  has_password: boolean;
  created_at: string;
}

export interface AdminModel {
  id: number;
  name: string;
  display_name: string;
  description: string;
  size: number | null;
  parameter_count: string;
  context_length: number | null;
  is_available: boolean;
  is_default: boolean;
  created_at: string;
  updated_at: string;
  capabilities: Array<string>;
  is_hidden: boolean;
  servers: Array<string>;
}

export interface AppShown {
  app_id: string;
  name: string;
  disabled: boolean;
  created_at: string;
}

export interface AppTokenAdded {
  id: number;
  label: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  token: string;
}

export interface AppTokenShown {
  id: number;
  label: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface BotShown {
  preset_id: number;
  slug: string;
  name: string;
}

export interface Branches {
  branches: Array<BranchingShown>;
  open_replies: Array<OpenReplyShown>;
  silent_replies: Array<SilentReplyShown>;
}

export interface BranchingShown {
  message_id: string | null;
  parent_id: string | null;
  siblings: Array<string>;
}

export interface CollectionList {
  collections: Array<CollectionShown>;
}

export interface CollectionShown {
  id: string;
  name: string;
  description: string;
  is_public: boolean;
  owner: string;
  can_edit: boolean;
  can_ask: boolean;
  document_count: number;
  size: number;
  largest_document: number;
  created_at: string;
  updated_at: string;
}

export interface DaysOfUsage {
  from: string;
  to: string;
  currency: string;
  rows: Array<UsedOnDay>;
  total: UsedShown;
}

export interface DeliveryPage {
  deliveries: Array<DeliveryShown>;
  has_more: boolean;
  waiting: number;
  dead: number;
}

export interface DeliveryShown {
  id: number;
  state: "dead" | "not_needed" | "sent" | "waiting";
  kind: "mention" | "message" | "reply";
  channel: "fcm" | "mail" | "web_push" | "webhook" | null;
  host: string | null;
  user_id: string;
  user_name: string;
  user_kind: "app" | "app_user" | "guest" | "person";
  conversation: string | null;
  attempts: number;
  failures: number;
  problem: string | null;
  sending: boolean;
  created_at: string;
  due_at: string;
  done_at: string | null;
}

export interface DocumentList {
  documents: Array<DocumentShown>;
  total: number;
}

export interface DocumentShown {
  id: string;
  collection_id: string;
  name: string;
  media_type: string;
  size: number;
  status: "failed" | "reading" | "ready" | "waiting";
  problem: string | null;
  passage_count: number;
  created_at: string;
  updated_at: string;
}

export interface Found {
  sessions: Array<MarkedSession>;
  messages: Array<MessageFound>;
  has_more: boolean;
  complete: boolean;
}

export interface LeftShown {
  limit: "money_a_month" | "tokens_a_day" | "tokens_a_month" | "conversation_tokens" | "replies_at_once" | "sign_ins" | "sockets_at_once" | "turns_a_minute" | "uploads_at_once";
  most: number;
  left: number;
  renewed_at: string;
}

export interface LimitsOfAll {
  person: UsualLimits;
  app: UsualLimits;
}

export interface LimitsShown {
  turns_a_minute?: number | null;
  replies_at_once?: number | null;
  sockets_at_once?: number | null;
  tokens_a_day?: number | null;
  tokens_a_month?: number | null;
  money_a_month?: number | null;
  user_id: string;
  name: string;
  kind: "app" | "app_user" | "guest" | "person";
  app: string | null;
}

export interface LinkShown {
  url: string;
  expires_at: string;
}

export interface LlmHealth {
  llm_server_healthy: boolean;
  llm_server_url: string | null;
  timestamp: string | null;
}

export interface MarkedSession {
  id: string;
  user: UserShown;
  title: string;
  model_name: string;
  temperature: number | null;
  max_tokens: number | null;
  enable_tools: boolean;
  is_active: boolean;
  status: "active" | "ended";
  created_at: string;
  updated_at: string;
  message_count: number;
  last_message_time: string;
  pinned: boolean;
  archived: boolean;
}

export interface Me {
  userId: string;
  email: string;
  fullName: string;
  user: UserAnswer;
}

export interface MemberShown {
  id: string;
  username: string;
  full_name: string;
  present: boolean | null;
  manages: boolean;
  read_number: number;
}

export interface MessageFound {
  session_id: string;
  session_title: string;
  archived: boolean;
  message_id: string;
  role: "assistant" | "user";
  snippet: string;
  created_at: string;
  in_view: boolean;
}

export interface MessagePage {
  session_id: string;
  messages: Array<MessageShown>;
  total_count: number;
}

export interface MessageShown {
  id: string;
  role: "assistant" | "system" | "tool" | "user";
  content: string;
  tool_calls: Array<Record<string, unknown>> | null;
  tool_call_id: string | null;
  metadata: Metadata;
  created_at: string;
  token_count: number | null;
  number: number;
  status: "complete" | "failed" | "interrupted" | "running" | "stopped";
  parent_id: string | null;
}

export interface Metadata {
  model?: string;
  usage?: UsageShown;
  reason?: string;
  client_message_id?: string;
  passages?: Array<SourceShown>;
  sender_id?: string;
}

export interface ModelHealth {
  name: string;
  healthy: boolean | null;
}

export interface ModelShown {
  id: number;
  name: string;
  display_name: string;
  description: string;
  size: number | null;
  parameter_count: string;
  context_length: number | null;
  is_available: boolean;
  is_default: boolean;
  created_at: string;
  updated_at: string;
}

export interface MyConversations {
  conversations: Array<PeopleConversation>;
  has_more: boolean;
  unread_total: number;
}

export interface MySessions {
  sessions: Array<MarkedSession>;
  total: number;
}

export interface OpenReplyShown {
  message_id: string;
  prompt_id: string;
  status: "queued" | "running";
}

export interface OwnUsage {
  currency: string;
  today: UsedShown;
  this_month: UsedShown;
  budget: Array<LeftShown>;
}

export interface PassageList {
  passages: Array<PassageShown>;
}

export interface PassageShown {
  document_id: string;
  document_name: string;
  number: number;
  start: number;
  end: number;
  page: number | null;
  heading: string;
  text: string;
}

export interface PeopleConversation {
  id: string;
  kind: "group" | "pair";
  title: string;
  members: Array<MemberShown>;
  bot: BotShown | null;
  status: "active" | "ended";
  blocked: boolean;
  muted: boolean;
  unread_count: number;
  last_message: PersonMessage | null;
  created_at: string;
  last_activity: string;
}

export interface PeoplePage {
  users: Array<PersonShown>;
  total: number;
}

export interface PersonAdded {
  user: PersonShown;
  sign_in_link: LinkShown;
}

export interface PersonMessage {
  id: string;
  number: number;
  sender: SenderShown | null;
  role: "assistant" | "system" | "tool" | "user";
  content: string;
  created_at: string;
  edited_at: string | null;
  removed: boolean;
  status: "complete" | "failed" | "interrupted" | "queued" | "running" | "stopped";
  client_message_id: string | null;
}

export interface PersonMessages {
  messages: Array<PersonMessage>;
  has_more: boolean;
}

export interface PersonShown {
  user_id: string;
  name: string;
  email: string;
  full_name: string;
  is_admin: boolean;
  disabled: boolean;
  created_at: string;
}

export interface PresetListed {
  id: number;
  name: string;
  description: string;
  model_name: string;
  is_public: boolean;
  created_by: UserShown | null;
  created_at: string;
  updated_at: string;
}

export interface PresetOverview {
  id: number;
  name: string;
  description: string;
  owner: string | null;
  model_name: string | null;
  is_public: boolean;
  shared_with: number;
  used: number;
  updated_at: string;
}

export interface PresetShown {
  id: number;
  name: string;
  description: string;
  model_name: string;
  is_public: boolean;
  created_by: UserShown | null;
  created_at: string;
  updated_at: string;
  system_prompt: string;
  temperature: number | null;
  max_tokens: number | null;
  enable_tools: boolean;
}

export interface PriceList {
  currency: string;
  prices: Array<PriceShown>;
}

export interface PriceShown {
  model: string;
  since: string;
  input: number;
  cached_input: number;
  output: number;
}

export interface SenderShown {
  id: string;
  username: string;
}

export interface ServerShown {
  name: string;
  url: string;
  has_key: boolean;
  models: Array<string>;
  weight: number;
  most_at_once: number | null;
  origin: string;
  healthy: boolean | null;
  breaker: string;
  running: number;
  offers: Array<string>;
}

export interface SessionShown {
  id: string;
  user: UserShown;
  title: string;
  model_name: string;
  temperature: number | null;
  max_tokens: number | null;
  enable_tools: boolean;
  is_active: boolean;
  status: "active" | "ended";
  created_at: string;
  updated_at: string;
  message_count: number;
  last_message_time: string;
}

export interface SettingsShown {
  provider: string | null;
  collection: string | null;
  model_name: string | null;
  temperature: number | null;
  max_tokens: number | null;
  presence_penalty: number | null;
  frequency_penalty: number | null;
  enable_tools: boolean;
  window: number | null;
  token_budget: number | null;
  caches_answers: boolean;
}

export interface Shares {
  usernames: Array<string>;
}

export interface SilentReplyShown {
  message_id: string;
  prompt_id: string;
  status: "failed" | "stopped";
}

export interface SourceShown {
  number: number;
  document_id: string;
  document_name: string;
  passage: number;
  page: number | null;
  heading: string;
}

export interface Synced {
  message: string;
  models: Array<ModelShown>;
}

export interface TakenBack {
  message_id: string;
  content: string;
}

export interface TargetList {
  targets: Array<TargetShown>;
}

export interface TargetShown {
  id: number;
  kind: "fcm" | "mail" | "web_push" | "webhook";
  label: string;
  created_at: string;
  last_sent_at: string | null;
}

export interface TokenMade {
  id: number;
  name: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  current: boolean;
  token: string;
}

export interface TokenShown {
  id: number;
  name: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  current: boolean;
}

export interface TrialShown {
  problem: "key" | "refused" | "unavailable" | null;
  milliseconds: number;
  models: Array<string>;
}

export interface UsageReport {
  from: string;
  to: string;
  by: "app" | "day" | "model" | "preset" | "user";
  currency: string;
  rows: Array<UsedByShown>;
  total: UsedShown;
}

export interface UsageShown {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface UsedByShown {
  turns: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost: number;
  key: string | number | null;
  name: string | null;
  app: string | null;
}

export interface UsedInSession {
  currency: string;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost: number;
}

export interface UsedOnDay {
  turns: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost: number;
  day: string;
  model: string | null;
}

export interface UsedShown {
  turns: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost: number;
}

export interface UserAnswer {
  userId: string;
  email: string;
  fullName: string;
}

export interface UserShown {
  id: number;
  username: string;
  first_name: string;
  last_name: string;
}

export interface UsualLimits {
  turns_a_minute: number;
  replies_at_once: number;
  sockets_at_once: number;
  tokens_a_day: number;
  tokens_a_month: number;
  money_a_month: number;
}

export interface VersionShown {
  number: number;
  created_at: string;
  created_by: UserShown | null;
}

export interface WholeSession {
  id: string;
  user: UserShown;
  title: string;
  model_name: string;
  temperature: number | null;
  max_tokens: number | null;
  enable_tools: boolean;
  is_active: boolean;
  status: "active" | "ended";
  created_at: string;
  updated_at: string;
  message_count: number;
  last_message_time: string;
  window: number | null;
  token_budget: number | null;
  messages: Array<MessageShown>;
}

export interface WholeVersion {
  number: number;
  created_at: string;
  created_by: UserShown | null;
  name: string;
  system_prompt: string;
  title: string;
  description: string;
  category: string;
  welcome_message: string;
  tags: Array<string>;
  provider: string | null;
  collection: string | null;
  settings: SettingsShown;
}

export interface WishesShown {
  shows_text: boolean;
  email: boolean;
  channels: Array<"fcm" | "mail" | "web_push" | "webhook">;
}
