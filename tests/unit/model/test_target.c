#include "config.h"

#include "model/target.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct target v3(void)
{
    return (struct target){.hostname = "10.0.0.1",
                           .port = 161,
                           .version = 3,
                           .timeout_ms = 500,
                           .community = "",
                           .username = "alice",
                           .password = "12345678",
                           .auth_protocol = "SHA",
                           .priv_passphrase = "87654321",
                           .priv_protocol = "AES",
                           .context = "",
                           .engine_id = ""};
}

static void a_nonsense_time_out_is_half_a_second(void **state UNUSED)
{
    static const struct {
        int64_t stored;
        uint32_t ms;
    } cases[] = {{0, 500}, {-1, 500}, {INT64_MIN, 500}, {1, 1}, {500, 500}, {INT64_MAX, INT32_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(target_timeout_ms(cases[i].stored), cases[i].ms);
}

static void a_version_and_its_community_decide_whether_it_can_be_asked(void **state UNUSED)
{
    static const bool usable[][2] = {/* without and with a community */
                                     {false, false},
                                     {false, true},
                                     {false, true},
                                     {true, true},
                                     {false, false}};
    for (uint8_t version = 0; version < ARRAY_LEN(usable); version++)
        for (int with = 0; with < 2; with++) {
            struct target t = v3();
            t.version = version;
            t.community = with ? "public" : "";
            assert_int_equal(target_usable(&t), usable[version][with]);
        }
}

/* ---- SNMPv3 security as Cacti means it ---- */

static const struct {
    const char *auth, *password, *priv, *passphrase;
    enum target_security security;
} levels[] = {
    {"[None]", "", "[None]", "", TARGET_NO_AUTH},
    {"[None]", "old value", "[None]", "", TARGET_NO_AUTH},
    {"[None]", "old value", "[None]", "old value", TARGET_NO_AUTH},
    {"[None]", "old value", "", "old value", TARGET_NO_AUTH},
    {"[None]", "old value", "AES", "", TARGET_NO_AUTH},
    {"", "old value", "", "", TARGET_NO_AUTH},
    {"", "", "", "", TARGET_NO_AUTH},
    {"SHA", "", "[None]", "", TARGET_NO_AUTH},
    {"SHA", "", "", "old value", TARGET_NO_AUTH},
    {"SHA", "12345678", "[None]", "", TARGET_AUTH},
    {"SHA", "12345678", "[None]", "old value", TARGET_AUTH},
    {"SHA", "12345678", "", "old value", TARGET_AUTH},
    {"SHA", "12345678", "", "", TARGET_AUTH},
    {"SHA", "12345678", "AES", "", TARGET_AUTH},
    {"ROT13", "12345678", "[None]", "", TARGET_AUTH},
    {"SHA", "12345678", "AES", "87654321", TARGET_AUTH_PRIV},
    {"SHA", "12345678", "ROT13", "87654321", TARGET_AUTH_PRIV},
    /* privacy that is asked for is not dropped: such a session fails */
    {"[None]", "12345678", "AES", "87654321", TARGET_AUTH_PRIV},
    {"SHA", "", "AES", "87654321", TARGET_AUTH_PRIV},
};

static void a_protocol_of_none_is_none_whatever_pass_phrase_is_stored(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        struct target t = v3();
        t.auth_protocol = levels[i].auth;
        t.password = levels[i].password;
        t.priv_protocol = levels[i].priv;
        t.priv_passphrase = levels[i].passphrase;
        if (target_security(&t) != levels[i].security)
            fail_msg("level %zu is %d", i, (int)target_security(&t));
    }
}

/* ---- who is the same ---- */

static void what_differs_in_its_time_out_alone_is_the_same_agent(void **state UNUSED)
{
    struct target a = v3(), t = v3();
    t.timeout_ms = 700;
    assert_true(target_same_agent(&a, &t));
    assert_true(target_compare(&a, &t) < 0);
    assert_true(target_compare(&t, &a) > 0);
    a.version = t.version = 2;
    t.username = "bob"; /* does not matter to v2c */
    assert_true(target_same_agent(&a, &t));
}

static void what_differs_in_anything_else_is_another_agent(void **state UNUSED)
{
    const struct target a = v3();
    struct target t[10];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        t[i] = a;
    t[0].hostname = "10.0.0.2";
    t[1].port = 1161;
    t[2].version = 2;
    t[3].username = "bob";
    t[4].password = "123456789";
    t[5].auth_protocol = "MD5";
    t[6].priv_passphrase = "987654321";
    t[7].priv_protocol = "DES";
    t[8].context = "vlan-7";
    t[9].engine_id = "0x80";
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_false(target_same_agent(&a, &t[i]));
        assert_false(target_same_agent(&t[i], &a));
        assert_int_not_equal(target_compare(&a, &t[i]), 0);
    }
    struct target b = a, c = a;
    b.version = c.version = 2;
    c.community = "other";
    assert_false(target_same_agent(&b, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nonsense_time_out_is_half_a_second),
        cmocka_unit_test(a_version_and_its_community_decide_whether_it_can_be_asked),
        cmocka_unit_test(a_protocol_of_none_is_none_whatever_pass_phrase_is_stored),
        cmocka_unit_test(what_differs_in_its_time_out_alone_is_the_same_agent),
        cmocka_unit_test(what_differs_in_anything_else_is_another_agent),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
