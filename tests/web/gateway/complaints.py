"""Which test claims which complaint of the evidence's list: by its number there, the tests that a system with that complaint
would fail, as `file under tests: name`. What only a measurement can show names its benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_RACES, _HOLDS = "governor/test_complaints_races.py", "governor/test_complaints_holds.py"
_BILLS, _HERE = "governor/test_complaints_bills.py", "web/gateway/test_complaints.py"
_STREAMS, _KEYS = "web/gateway/test_streams.py", "web/gateway/test_keys.py"
_LIBRARY = "library/test_opening.py"

CLAIMS: Final[Mapping[int, Sequence[str]]] = {
    # --- races and bypasses
    1: [f"{_RACES}: test_parallel_turns_of_one_session_cannot_all_pass__litellm_34732"],
    2: [f"{_RACES}: test_first_requests_of_an_unknown_user_meet_the_default_budget_all_together__litellm_40095"],
    3: [
        f"{_RACES}: test_spend_never_passes_the_budget_of_a_key_or_of_its_user__litellm_26672",
        "web/gateway/test_burst.py: test_two_hundred_on_twenty_never_pass_more_than_twenty",
    ],
    4: [f"{_RACES}: test_every_entrance_of_the_library_asks_the_budget__litellm_27381"],
    5: [f"{_HERE}: test_whose_call_it_is_says_the_key_and_no_header__litellm_11083"],
    6: [f"{_RACES}: test_a_model_is_one_model_under_all_of_its_names__litellm_25549"],
    7: [f"{_RACES}: test_replicas_share_one_budget_of_a_model__litellm_33325_39390"],
    8: [f"{_RACES}: test_what_another_process_spent_counts_here_without_any_setting__litellm_30661"],
    9: [
        f"{_RACES}: test_spend_of_a_replica_counts_at_once_and_not_with_the_next_synchronisation__litellm_6288",
        f"{_RACES}: test_tokens_a_minute_are_counted_over_all_replicas__litellm_40291",
    ],
    10: [f"{_RACES}: test_a_master_key_is_refused_where_the_budget_is_used_up__buttercup_550"],
    11: [
        f"{_HERE}: test_no_path_goes_round_the_budget__bifrost_2873",
        "web/gateway/test_hostile.py: test_there_is_no_ungoverned_way_through",
    ],
    12: [f"{_RACES}: test_a_quota_of_tokens_counts_tokens_and_not_requests__wso2_2932"],
    13: [
        f"{_RACES}: test_a_rate_limits__helicone_2217",
        f"{_RACES}: test_what_remains_falls_with_every_call__envoy_ai_gateway_1754",
        f"{_RACES}: test_a_stream_counts_from_its_first_moment_and_not_after_its_last__envoy_ai_gateway_2394",
        f"{_RACES}: test_the_documented_example_limits__envoy_ai_gateway_1169",
    ],
    14: [
        f"{_RACES}: test_a_model_without_a_price_is_refused_and_counts_nothing__litellm_30715",
        f"{_RACES}: test_an_explicit_zero_is_free_also_when_nothing_is_left__litellm_27581",
    ],
    # --- reservation gone wrong
    15: [
        f"{_HOLDS}: test_no_hold_outlives_its_call_however_it_ended__litellm_27639",
        (
            "web/gateway/test_kill.py: "
            "test_a_gateway_that_is_killed_holds_nothing_afterwards_and_counts_all_that_was_charged"
        ),
    ],
    16: [f"{_HOLDS}: test_what_is_enforced_is_what_is_recorded__litellm_40050"],
    17: [f"{_HOLDS}: test_programs_that_start_add_nothing_to_what_was_spent__litellm_28247"],
    18: [f"{_HOLDS}: test_answers_of_the_store_that_are_lost_make_nothing_drift__litellm_30460"],
    19: [
        f"{_HOLDS}: test_worst_cases_do_not_fill_a_budget_that_nobody_spends__litellm_38647",
        f"{_STREAMS}: test_the_hold_shrinks_once_the_stream_has_told_its_input",
    ],
    20: [f"{_HOLDS}: test_a_hold_that_cannot_be_written_stops_the_call__litellm_33923"],
    21: [f"{_HOLDS}: test_a_long_prompt_is_held_at_the_rate_of_long_prompts__litellm_40002"],
    22: [f"{_HOLDS}: test_what_was_given_back_and_what_was_reset_is_there_at_once__litellm_27735"],
    23: [f"{_HOLDS}: test_a_limit_on_tokens_asks_no_caller_for_max_tokens__tensorzero_3648"],
    24: [f"{_HOLDS}: test_a_price_with_a_slip_of_the_pen_locks_nobody_out_for_good__litellm_20615"],
    # --- arithmetic
    25: [
        f"{_BILLS}: test_tokens_written_to_the_cache_are_billed_once__litellm_9812",
        f"{_BILLS}: test_tokens_read_from_the_cache_are_not_left_out__litellm_5443",
        f"{_BILLS}: test_tokens_read_from_the_cache_do_not_cost_like_new_ones__litellm_11364",
        f"{_BILLS}: test_cached_tokens_on_bedrock_are_not_free__litellm_29265",
        f"{_BILLS}: test_a_warm_cache_never_makes_a_cost_negative_and_never_hides_it__headroom_2757",
    ],
    26: [f"{_BILLS}: test_the_vendors_own_word_for_the_price_is_not_asked_for__litellm_37924"],
    27: [f"{_BILLS}: test_an_answer_from_the_cache_uses_no_tokens_a_second_time__litellm_39057"],
    28: [f"{_BILLS}: test_a_cache_that_nobody_asked_for_is_counted__litellm_16341"],
    # --- streams
    29: [
        f"{_BILLS}: test_a_stream_that_its_reader_left_is_not_free__litellm_33736_30630",
        f"{_STREAMS}: test_the_bill_of_a_program_that_left_is_counted_to_its_end",
    ],
    30: [f"{_HERE}: test_what_readers_left_is_drained_in_bounded_places_and_counted_beyond_them__litellm_36008"],
    31: [
        f"{_BILLS}: test_a_usage_of_zero_is_believed_and_not_replaced_by_an_estimate__litellm_37992",
        f"{_BILLS}: test_the_place_holder_at_a_streams_beginning_is_not_its_usage__litellm_35958_39893",
    ],
    32: [
        f"{_BILLS}: test_a_caller_that_goes_away_while_the_vendor_works_pays_for_input_and_output__litellm_13245",
        f"{_STREAMS}: test_without_a_place_to_drain_the_vendor_is_cut_off_and_the_most_it_can_be_counts",
    ],
    # --- operation
    33: [
        "governor/test_governor.py: test_a_store_that_does_not_answer_closes_money_and_opens_again_by_itself",
        "app/test_running.py: test_a_store_that_is_away_is_named_and_nothing_is_said_to_be_ready",
    ],
    34: ["bench: service"],
    35: [
        "web/gateway/test_fuzz.py: test_whatever_comes_in_the_gateway_neither_fails_nor_hangs_nor_grows",
        "bench: gateway_memory",
    ],
    36: ["bench: gateway"],
    37: [
        "core/test_windows.py: test_every_instant_is_in_its_window_and_the_next_window_begins_where_it_ends",
        "core/test_windows.py: test_a_day_has_as_many_hours_as_its_zone_gives_it",
        "governor/test_levels.py: test_a_reset_is_told_only_where_something_had_been_crossed_or_refused",
    ],
    38: [
        "governor/test_governor.py: test_each_level_is_told_once_in_a_window_and_again_in_the_next",
        "app/test_budget_messages.py: test_each_level_reaches_the_people_that_it_names",
    ],
    39: [f"{_HERE}: test_a_free_model_is_served_when_no_budget_is_left__litellm_14004_29912_38515"],
    40: [
        f"{_KEYS}: test_no_log_error_or_record_holds_a_key",
        "web/gateway/test_hostile.py: test_nothing_of_the_callers_headers_goes_up_and_the_vendors_key_never_comes_down",
        "web/gateway/test_fallback.py: test_no_header_of_the_caller_chooses_who_answers",
        "test_house.py: test_a_lock_holds_hashes_and_no_address",
    ],
    41: [f"{_LIBRARY}: test_every_public_name_is_found_and_importing_aegis_loads_none_of_them", "bench: start"],
}
