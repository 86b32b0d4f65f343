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

export interface Branches {
  branches: Array<BranchingShown>;
  open_replies: Array<OpenReplyShown>;
}

export interface BranchingShown {
  message_id: string | null;
  parent_id: string | null;
  siblings: Array<string>;
}

export interface DaysOfUsage {
  from: string;
  to: string;
  currency: string;
  rows: Array<UsedOnDay>;
  total: UsedShown;
}

export interface Found {
  sessions: Array<MarkedSession>;
  messages: Array<MessageFound>;
  has_more: boolean;
  complete: boolean;
}

export interface LeftShown {
  limit: "conversation_tokens" | "money_a_month" | "replies_at_once" | "sign_ins" | "sockets_at_once" | "tokens_a_day" | "tokens_a_month" | "turns_a_minute";
  most: number;
  left: number;
  renewed_at: string;
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

export interface TakenBack {
  message_id: string;
  content: string;
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

export interface UsageShown {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
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

export interface UserShown {
  id: number;
  username: string;
  first_name: string;
  last_name: string;
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
