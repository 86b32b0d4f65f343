"""What shows each sentence of docs/operating.md: how it begins, and the tests. `tests/` and `test_` are left out.

Tables and commands are held by `test_operating_docs.py`. Whoever changes the page changes this; whoever adds a claim
says here what shows it.
"""

# Says where something stands, what to do, or what follows: nothing that could be false of the server.
NO_CLAIM = (
    "What an operator decides",
    "What it needs to start",
    "Settings are environment variables",
    "What admins do over the API",
    "[Models]",
    "[Limits]",
    "[Money]",
    "[What the bot sees]",
    "[Watching]",
    "The examples ask as an admin",
    "Tokens and money are limited too",
    "So do the headers",
    "`RateLimit-Policy` and `RateLimit` are those",
    "`q` is how much there is",
    "`GET` on the same path lists them",
    "When to come back depends on it",
    "Providers bill the part of a prompt",
    "A conversation that never fills its context",
    "`/ready` is for load balancers",
    "Several machines are several targets",
    "In Prometheus",
    "How the numbers are counted",
    "Whoever has a name or an e-mail in the log",
)

CLAIMS: dict[str, tuple[str, ...]] = {
    # Models
    "**Where models come from.** One server, or OpenAI": (
        "bots/installed::server_that_is_set_answers",
        "bots/installed::openai_is_asked_with_its_key_where_no_other_server_is_set",
    ),
    "Beside it there may be any number": (
        "bots/installed::servers_stand_beside_the_one_that_is_set_and_any_of_them_makes_it_healthy",
        "journeys/operating_docs::servers_of_the_page_can_be_set",
    ),
    "A list that cannot be read stops the start": (
        "settings/settings::servers_that_cannot_be_used_are_named_by_entry_and_field_without_their_values",
    ),
    "An admin adds further servers": (
        "contracts/admin_servers::server_that_is_added_answers_and_survives_a_restart",
        "chat/models::bots_hear_of_the_servers_that_another_process_has_changed",
        "journeys/operating_docs::figure_of_the_page_is_that_of_the_code",
    ),
    "A key goes in": ("contracts/admin_servers::server_is_added_changed_and_removed_and_its_key_never_shown",),
    "The database keeps it as it is": ("journeys/operating_docs::key_of_a_server_stands_in_the_database_as_it_is",),
    "What an admin says of a model stays": (
        "ports/models::what_an_admin_says_of_a_model_goes_before_what_servers_tell",
        "contracts/admin_servers::what_an_admin_says_of_a_model_is_kept_over_syncs",
    ),
    "The default answers where": (
        "bots/catalogue::what_people_prefer_comes_after_the_operators_choice_and_before_the_usual",
    ),
    "Servers of the settings are changed": (
        "contracts/admin_servers::name_is_taken_once_and_servers_of_the_settings_stay",
    ),
    "**What a server may be told.**": (
        "journeys/operating_docs::servers_of_the_page_can_be_set",
        "contracts/admin_servers::what_cannot_be_a_server_is_refused",
    ),
    "`key`: what it wants": ("bots/installed::server_that_is_set_is_asked_with_its_own_key",),
    "`models`: what it offers": ("bots/choosing::model_is_asked_of_those_that_offer_it",),
    "`weight`: how many replies": ("bots/choosing::weight_says_how_many_run_beside_one",),
    "`most_at_once`: how many": (
        "bots/choosing::full_server_is_passed_over_and_waited_for_in_turn",
        "bots/asking::reply_waits_while_every_place_is_taken",
    ),
    "**When one fails** before the first piece": (
        "bots/asking::next_server_is_asked_before_the_first_piece_and_nobody_notices",
        "chaos/llm_servers::nobody_hears_of_servers_that_die_stall_or_refuse_while_one_lives",
    ),
    "It has failed where": (
        "bots/asking::next_server_is_asked_before_the_first_piece_and_nobody_notices",
        "bots/asking::server_that_is_gone_or_has_another_key_is_passed_over",
    ),
    "After three failures in a row": (
        "bots/choosing::breaker_opens_after_failures_in_a_row_alone",
        "bots/choosing::one_trial_after_the_pause_closes_it",
    ),
    "Every trial that fails doubles": ("bots/choosing::pause_doubles_with_each_failed_trial_up_to_a_cap",),
    "While it is down its models stay listed": (
        "contracts/admin_servers::server_that_is_down_takes_no_model_away_even_after_a_restart",
        "chaos/llm_servers::black_hole_slows_nothing_else",
    ),
    "`healthy` says whether": (
        "bots/catalogue::is_refreshed_every_minute_and_sooner_after_a_failure",
        "contracts/admin_servers::sync_that_failed_and_one_that_did_not_are_seen_at_once",
    ),
    "`running`, `breaker` and `healthy` are": (
        "chaos/llm_servers::nobody_hears_of_servers_that_die_stall_or_refuse_while_one_lives",
    ),
    # Limits
    "Who may do how much. 0 means no limit.": (
        "contracts/limits::admin_gives_a_person_and_an_application_other_limits",
    ),
    "**A minute is any minute.**": ("ports/counts::in_no_window_are_there_more_than_may_be",),
    "They may come all at once.": (
        "ports/counts::as_many_as_may_be_are_had_and_no_more_however_many_ask_at_once",
        "contracts/limits::turns_a_minute_are_as_many_as_the_setting_says",
    ),
    "Who has used them up waits": ("ports/counts::who_is_refused_hears_when_to_come_back_and_then_has_it",),
    "**What counts.** A request": ("journeys/operating_docs::what_counts_is_what_the_page_says",),
    "It counts also where": ("journeys/operating_docs::what_counts_is_what_the_page_says",),
    "A refused request does not count": (
        "journeys/operating_docs::what_counts_is_what_the_page_says",
        "contracts/limits::refused_request_changes_nothing",
    ),
    "**Users of an application** may": ("contracts/limits::users_of_an_application_have_each_the_limit_of_a_user",),
    "Replies at once are the application's": (
        "contracts/limits::replies_at_once_are_as_many_as_the_setting_says",
        "contracts/limits::user_of_an_application_has_the_limit_of_a_user_over_a_socket_of_its_own",
    ),
    "Where an application names no user": ("contracts/limits::turns_a_minute_are_as_many_as_the_setting_says",),
    "**Guests** are counted": ("contracts/limits::guests_who_keep_no_cookies_are_counted_by_their_address",),
    "Behind a proxy, name it": ("contracts/limits::guests_who_keep_no_cookies_are_counted_by_their_address",),
    "**Replies at once** counts": ("contracts/limits::replies_at_once_are_as_many_as_the_setting_says",),
    "A message that waits behind another": (
        "contracts/limits::message_that_waits_for_its_turn_holds_no_place_until_it_is_answered",
        "chat/at_once::what_waits_for_the_one_reply_is_begun_and_takes_its_place",
    ),
    "429, in the shape of each API.": (
        "contracts/limits::refusal_has_the_shape_of_its_api_and_says_which_limit_and_when_to_come_back",
    ),
    "The limits of a user and of an application": (
        "contracts/limits::too_many_come_after_the_size_and_the_caller_and_before_the_type_and_the_body",
    ),
    "Those of a conversation, those of": (
        "journeys/operating_docs::what_is_wrong_with_a_body_is_said_before_the_limits_that_need_it",
    ),
    "The text names the limit": ("journeys/operating_docs::refusal_is_as_the_page_shows_it",),
    'Try again in 12 seconds."), in': ("contracts/limits::refusal_speaks_the_reader_s_language",),
    "An answer to a turn that was let through": ("contracts/limits::success_tells_the_limits_and_what_is_left",),
    "Budgets are never among these": ("contracts/limits::success_tells_the_limits_and_what_is_left",),
    "`GET /api/usage` tells what is left": (
        "contracts/money::who_has_nothing_left_is_refused_by_every_api_and_told_when_to_come_back",
    ),
    "A page on another origin": ("journeys/operating_docs::refusal_is_as_the_page_shows_it",),
    "A message over a WebSocket": ("contracts/limits::socket_is_told_which_limit_and_stays_open",),
    "A search in [documents]": ("contracts/limits::search_of_documents_counts_as_a_turn",),
    "A WebSocket over its own limit": ("contracts/limits::sockets_at_once_are_as_many_as_the_setting_says",),
    "Admins give them": (
        "journeys/operating_docs::commands_print_what_the_page_says",
        "contracts/limits::admin_gives_a_person_and_an_application_other_limits",
    ),
    "0 is no limit.": (
        "contracts/limits::admin_gives_a_person_and_an_application_other_limits",
        "ports/ledger::zero_is_no_limit_whatever_is_usual",
    ),
    "What is absent or null": ("contracts/limits::admin_gives_a_person_and_an_application_other_limits",),
    "Money is in millionths here": ("ports/ledger::money_is_held_back_by_the_price_of_the_model",),
    "Every worker holds to it": (
        "contracts/limits::admin_gives_a_person_and_an_application_other_limits",
        "journeys/operating_docs::figure_of_the_page_is_that_of_the_code",
    ),
    "`GET /api/admin/limits` lists": ("contracts/limits::admin_gives_a_person_and_an_application_other_limits",),
    "Without Redis each process": ("ports/counts::as_many_as_may_be_are_had_and_no_more_however_many_ask_at_once",),
    "With `PALAVER_REDIS_URL` all workers": (
        "contracts/limits::turns_a_minute_are_as_many_as_the_setting_says",
        "chaos/limit_faults::turn_asks_redis_once_for_each_of_its_limits",
    ),
    "Where conversations are limited": ("contracts/limits::turns_a_minute_are_as_many_as_the_setting_says",),
    "A worker that dies gives up": (
        "ports/counts::what_a_dead_worker_held_is_free_again",
        "journeys/operating_docs::figure_of_the_page_is_that_of_the_code",
    ),
    "When Redis is away": ("chaos/limit_faults::without_redis_a_limit_holds_in_each_worker_and_nobody_waits",),
    "A limit then holds in each worker": (
        "chaos/limit_faults::without_redis_a_limit_holds_in_each_worker_and_nobody_waits",
    ),
    "Nobody is refused for it": ("chaos/limit_faults::without_redis_a_limit_holds_in_each_worker_and_nobody_waits",),
    "The log says so once": ("chaos/limit_faults::without_redis_a_limit_holds_in_each_worker_and_nobody_waits",),
    # Money
    "Every token that a bot uses": (
        "ports/ledger::sums_agree_however_they_are_cut",
        "chaos/ledger::ledger_balances_after_stops_failures_and_kills",
    ),
    "The API tells money in millionths": ("contracts/money::prices_are_added_and_told_with_their_currency",),
    "**Settings say it in whole units**": ("ports/ledger::least_amount_of_money_is_a_limit_too",),
    "`PALAVER_MONEY_A_MONTH=2.50`": ("contracts/limits::no_more_is_used_than_the_setting_says_and_nearly_all_of_it",),
    "They are set for each model": ("contracts/money::prices_are_added_and_told_with_their_currency",),
    "Any other bot has a price": ("contracts/money::bot_that_is_no_model_costs_nothing_by_a_models_price",),
    "A price holds from now on": ("ports/ledger::reply_costs_what_held_when_it_ended_and_later_prices_change_nothing",),
    "None begins in the past": (
        "contracts/money::price_that_would_change_what_was_is_refused",
        "ports/ledger::price_is_never_changed",
    ),
    "One that has not begun": ("contracts/money::price_that_has_not_begun_is_taken_back_and_no_other",),
    "A model without a price": ("ports/ledger::reply_costs_what_held_when_it_ended_and_later_prices_change_nothing",),
    "Without `cached_input`": ("contracts/money::prices_are_added_and_told_with_their_currency",),
    "`by` is `day`": ("contracts/money::every_cut_through_the_sums_agrees_with_the_bill",),
    "Without days it is this month": ("contracts/money::usage_is_told_for_the_days_that_are_asked_for",),
    "`/api/admin/usage.csv` is": ("contracts/money::table_is_the_same_and_no_name_in_it_is_a_formula",),
    "Everybody sees their own use": ("ports/ledger::who_asks_is_told_what_was_used_and_what_is_left",),
    "Deleting a conversation, purging": ("ports/ledger::what_was_billed_outlives_asking_again_purge_and_erasure",),
    "A reply counts what the model's server": ("chaos/ledger::ledger_balances_after_stops_failures_and_kills",),
    "Servers report at the end": (
        "chat/replies::what_a_stopped_reply_has_used_is_counted",
        "ports/ledger::reply_that_was_left_behind_is_billed_for_what_was_kept",
        "chaos/ledger::ledger_balances_after_stops_failures_and_kills",
    ),
    "What was never heard costs nothing": ("ports/ledger::failed_reply_without_tokens_costs_nothing",),
    "An answer that is [given again]": ("contracts/presets::hit_is_not_billed_and_told_like_any_reply",),
    "They are off (0)": ("journeys/operating_docs::settings_of_the_page_are_those_that_there_are_and_budgets_are_off",),
    "For one user or application admins": ("ports/ledger::own_budget_goes_before_the_usual_one",),
    "`tokens_a_day`, `tokens_a_month`, and": ("ports/ledger::own_budget_goes_before_the_usual_one",),
    "Somebody's own budget goes before": (
        "contracts/money::budget_of_ones_own_holds_on_every_worker_soon_after_it_is_set",
    ),
    "A budget is full again": (
        "ports/ledger::day_and_month_begin_anew",
        "ports/ledger::months_are_those_of_the_calendar",
    ),
    "One that is set later counts": ("ports/ledger::budget_that_comes_later_counts_what_was_used_before",),
    "Before a bot is asked": (
        "ports/ledger::all_that_the_bot_is_sent_is_held_back_in_whatever_script_it_is",
        "ports/ledger::past_is_held_back_up_to_what_the_model_takes_and_no_further",
    ),
    "For a message that waits": (
        "ports/ledger::reply_that_waits_holds_back_what_is_said_before_it_is_its_turn",
        "contracts/limits::no_more_is_used_than_the_setting_says_and_nearly_all_of_it",
    ),
    "So many turns at once": ("ports/ledger::many_at_once_in_two_processes_never_pass_a_budget",),
    "When the reply ends, what it": (
        "ports/ledger::reply_holds_back_what_it_may_use_and_its_end_puts_what_it_used_in_the_place",
    ),
    "A reply that failed before a word": ("ports/ledger::nothing_stays_held_back_whatever_becomes_of_a_reply",),
    "What does not fit into what is left": (
        "contracts/money::who_has_nothing_left_is_refused_by_every_api_and_told_when_to_come_back",
        "ports/ledger::refused_message_writes_nothing_and_tells_the_limit_and_when_to_come_back",
    ),
    "The text says why": ("api/limited::every_budget_has_its_words",),
    "Too little is left of a day": (
        "ports/ledger::refused_message_writes_nothing_and_tells_the_limit_and_when_to_come_back",
    ),
    "`Retry-After` is the time until": (
        "ports/ledger::refused_message_writes_nothing_and_tells_the_limit_and_when_to_come_back",
    ),
    "Only replies that are being written": (
        "contracts/money::who_only_waits_for_replies_that_run_is_told_to_come_back_soon",
    ),
    "`Retry-After` is a few seconds": (
        "contracts/money::who_only_waits_for_replies_that_run_is_told_to_come_back_soon",
    ),
    "A conversation has used up its tokens": ("ports/ledger::conversation_has_a_budget_of_its_own",),
    "Begin a new one": ("api/limited::words_name_the_limit_what_is_left_and_when_to_come_back",),
    "`Retry-After` is a day, since": ("ports/ledger::conversation_has_a_budget_of_its_own",),
    "The whole budget is smaller": ("ports/ledger::budget_smaller_than_one_reply_is_said_to_be_so",),
    "Raise it, or lower": ("ports/ledger::budget_smaller_than_one_reply_is_said_to_be_so",),
    "`Retry-After` is a day here too": ("ports/ledger::budget_smaller_than_one_reply_is_said_to_be_so",),
    "Whoever says a message again": ("contracts/money::message_that_was_answered_is_told_again_when_nothing_is_left",),
    # What the bot sees
    "Of each conversation the bot gets": (
        "bots/completion::what_stays_the_same_goes_first_and_what_is_true_of_one_turn_goes_with_its_message",
    ),
    "It gets no more than its model takes": ("chat/context::bot_never_sees_more_than_the_window_or_the_budget",),
    "**How much that is.**": (
        "bots/catalogue::context_is_what_the_server_takes_and_the_usual_where_it_does_not_tell",
        "bots/catalogue::takes_what_a_server_tells_of_a_model",
    ),
    "A server that tells only what its model": (
        "bots/catalogue::context_is_what_the_server_takes_and_the_usual_where_it_does_not_tell",
    ),
    "Of the context a reply's longest": (
        "chat/context::half_of_the_context_is_left_for_what_was_said_however_long_a_reply_may_be",
        "journeys/operating_docs::figure_of_the_page_is_that_of_the_code",
    ),
    "A preset or a session may have": ("contracts/presets::settings_of_a_preset_are_read_changed_and_taken_over",),
    "**Cut to half, in one go.**": ("chat/context::front_stays_the_same_until_it_is_cut_and_is_then_cut_to_half",),
    "What is sent is the same": (
        "chat/context::what_is_sent_only_grows_from_turn_to_turn_until_the_next_cut_whatever_is_learned_meanwhile",
    ),
    "Losing the oldest message": (
        "bench/prompt_bill::prompts_of_a_hundred_turns_cost_a_fraction_of_what_cutting_one_by_one_costs",
    ),
    "`bench/prompt_bill.py` measures it": (
        "bench/prompt_bill::prompts_of_a_hundred_turns_cost_a_fraction_of_what_cutting_one_by_one_costs",
    ),
    "`prompt_cache_key` goes with": ("chat/seen::cache_key_is_the_conversations_own_in_every_turn_and_tells_no_id",),
    "A server that refuses the field": (
        "bots/openai::cache_key_is_left_out_from_then_on_for_all_models_of_a_server_that_refuses_it",
    ),
    "**How tokens are counted.**": ("chat/context::tokens_are_estimated",),
    "What the LLM server reports of each prompt": (
        "chat/tokens::factor_comes_to_what_the_server_makes_of_a_count",
        "chat/tokens::one_report_that_is_off_moves_little_and_is_forgotten",
        "chat/stateless::what_a_model_makes_of_a_prompt_is_learned_and_held_to_under_one_name",
    ),
    "As long as nothing was reported": ("journeys/operating_docs::figure_of_the_page_is_that_of_the_code",),
    "`pip install 'palaver[tokens]'` brings": (
        "journeys/operating_docs::tokenizer_is_as_large_as_the_page_says_and_fetches_nothing",
        "chat/tokens::long_texts_are_counted_in_a_thread_and_short_ones_are_not_sent_there",
    ),
    "Nothing is fetched from anywhere": (
        "journeys/operating_docs::tokenizer_is_as_large_as_the_page_says_and_fetches_nothing",
    ),
    "`PALAVER_EXACT_TOKENS=off` leaves": ("journeys/operating_docs::exact_tokens_can_be_left_unused",),
    "**Summaries.** With": (
        "chat/summaries::what_was_cut_stands_summarised_between_system_prompt_and_history_until_the_next_cut",
        "chat/summaries::nothing_is_summarised_unless_the_operator_wants_it",
    ),
    "Nobody waits for it.": ("chat/summaries::slow_summary_holds_up_no_turn_and_is_asked_for_once",),
    "It stands between system prompt": (
        "chat/summaries::what_was_cut_stands_summarised_between_system_prompt_and_history_until_the_next_cut",
    ),
    "It costs a prompt for each cut": (
        "chat/summaries::what_was_cut_stands_summarised_between_system_prompt_and_history_until_the_next_cut",
    ),
    "Its tokens are counted for the owner": ("chat/summaries::its_usage_is_counted_for_the_owner_beside_the_messages",),
    "When it fails or says nothing": (
        "chat/summaries::failing_summary_changes_nothing_and_is_left_alone_for_a_while",
        "chat/summaries::summary_that_says_nothing_is_none",
    ),
    "A server that stops leaves it": (
        "chat/summaries::worker_that_goes_away_leaves_the_summary_to_the_next_turn",
        "chat/summaries::worker_that_dies_leaves_the_summary_to_the_first_turn_after_its_lease",
    ),
    "It is dropped when what it tells": (
        "chat/summaries::edit_of_what_was_summarised_drops_it",
        "chat/summaries::branch_that_comes_into_view_drops_it",
    ),
    "Asking again for the last reply": (
        "chat/summaries::edit_behind_it_and_another_reply_leave_front_and_summary_as_they_were",
    ),
    "The `dummy` bot summarises": ("bots/dummy::says_the_prompt_in_upper_case_to_the_last_blank",),
    # Watching
    "It is 503": (
        "contracts/metrics::server_that_drains_is_not_ready",
        "contracts/metrics::server_whose_database_says_nothing_is_not_ready_within_seconds_and_then_is_again",
    ),
    "Redis may be away": ("contracts/metrics::bus_that_is_away_is_told_and_its_server_is_ready",),
    "A server that is starting": ("contracts/metrics::server_that_starts_is_ready_with_its_first_answer",),
    "`/health` says whether": (
        "contracts/metrics::server_whose_database_says_nothing_is_not_ready_within_seconds_and_then_is_again",
    ),
    "`/metrics` is text for Prometheus": ("contracts/metrics::every_family_says_what_it_is",),
    "With several workers whichever": (
        "contracts/metrics::whole_is_the_sum_of_the_workers_whoever_is_asked",
        "contracts/metrics::killed_worker_takes_no_number_with_it",
        "contracts/metrics::workers_that_are_replaced_leave_their_numbers",
    ),
    "What makes no sum has the label": ("contracts/metrics::workers_tell_of_themselves",),
    "By default only this machine itself": (
        "contracts/metrics::by_default_this_machine_reads_it_by_its_own_names",
        "contracts/metrics::by_default_nobody_reads_it_by_way_of_a_proxy",
    ),
    "A server that is told of a proxy": (
        "contracts/metrics::server_that_is_told_of_a_proxy_wants_the_token_from_this_machine_too",
    ),
    "With `PALAVER_METRICS_TOKEN` whoever": ("journeys/operating_docs::commands_print_what_the_page_says",),
    "`PALAVER_METRICS=on` opens it": (
        "api/watching::on_is_for_all_unless_there_is_a_token",
        "api/watching::off_is_off",
    ),
    "No number is about a person": ("contracts/metrics::no_label_holds_what_anybody_has_sent",),
    "[grafana.json](grafana.json) is": ("journeys/operating_docs::dashboard_can_be_imported",),
    "Dashboards, New, Import), [alerts.yml]": ("journeys/operating_docs::queries_name_only_numbers_that_there_are",),
    "It goes to standard error": ("contracts/logs::lines_are_objects_that_name_their_request_and_worker",),
    "**Who came in, and who did not.**": (
        "contracts/security_lines::whoever_signs_in_or_out_is_named",
        "watching/security::refusals_are_warnings_and_all_else_is_none",
    ),
    "`user` and `name` say whose": (
        "contracts/security_lines::what_becomes_of_an_account_is_told_with_who_did_it",
        "contracts/security_lines::what_people_do_to_their_own_account_is_told",
    ),
    "A name that was tried": ("contracts/security_lines::refused_sign_in_names_nobody_but_accounts_that_there_are",),
    "What is no plain letter": ("watching/security::name_that_is_no_plain_word_is_spelled_out_between_quotes",),
    "A message tells nothing": ("contracts/security_lines::turn_tells_nothing_but_who_asked",),
    "`palaver user`, `app` and `token`": ("cli/people::what_becomes_of_an_account_is_told_where_no_terminal_shows_it",),
    "Each request is one line": (
        "contracts/security_lines::turn_tells_nothing_but_who_asked",
        "contracts/logs::lines_are_objects_that_name_their_request_and_worker",
        "contracts/common::request_id_of_a_failure_is_in_the_log_with_its_cause",
    ),
    "`error` is a traceback": ("watching/lines::traceback_stays_on_the_line",),
    "A path is logged as its pattern": ("contracts/logs::no_secret_and_nothing_that_is_said_gets_into_it",),
    "Neither keys, tokens": ("contracts/logs::no_secret_and_nothing_that_is_said_gets_into_it",),
    "Each request that begins a turn": (
        "contracts/spans::turn_is_a_span_of_the_caller_s_trace_and_the_model_s_call_is_one_of_it",
    ),
    "The trace goes on to the LLM server": (
        "contracts/spans::turn_is_a_span_of_the_caller_s_trace_and_the_model_s_call_is_one_of_it",
    ),
    "A reply that had to wait": (
        "contracts/spans::turn_on_a_socket_is_a_span_and_what_waited_behind_it_is_none_of_it",
    ),
    "What is said is in none": ("contracts/spans::what_was_said_is_told_where_that_is_wanted",),
    "Headers for the receiver": ("contracts/spans::what_was_said_is_told_where_that_is_wanted",),
}
