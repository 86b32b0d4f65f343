// Made by scripts/api_types.py from the OpenAPI document. Do not edit it.

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

export interface CallerStats {
  total_sessions: number;
  total_messages: number;
  recent_sessions: number;
  favorite_model: Favorite | null;
}

export interface Favorite {
  model_name: string;
  count: number;
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

export interface Me {
  userId: string;
  email: string;
  fullName: string;
  user: UserAnswer;
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

export interface PeoplePage {
  users: Array<PersonShown>;
  total: number;
}

export interface PersonAdded {
  user: PersonShown;
  sign_in_link: LinkShown;
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

export interface Shares {
  usernames: Array<string>;
}

export interface Siblings {
  siblings: Array<MessageShown>;
  in_view: string | null;
}

export interface Synced {
  message: string;
  models: Array<ModelShown>;
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
