#include "config.h"

#include <search.h> /* net-snmp has a macro ACTION */

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thr.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <net-snmp/library/keytools.h>
#include <net-snmp/library/lcd_time.h>
#include <net-snmp/library/scapi.h>
#include <net-snmp/library/snmpusm.h>

enum {
    KEY_MAX = USM_LENGTH_KU_HASHBLOCK,
    PASSPHRASE_MIN = 8, /* RFC 3414 section 11.2 */
};

/* A passphrase hashed a megabyte long (RFC 3414 A.2), independent of the engine. */
struct key {
    u_char bytes[KEY_MAX];
    size_t len; /* 0: the library could not make it */
};

struct protocol {
    const oid *id; /* constant, the library's */
    size_t id_len;
    int type; /* in the library's numbers */
};

struct snmp_v3 {
    const struct target *target;
    int level;
    u_char *context_engine;
    size_t context_engine_len;
    struct protocol auth, priv;
    struct key auth_key, priv_key;

    struct usmUser *user; /* with keys for the agent's engine, NULL until that is known */
    u_int boots, time;    /* of the engine, as of local_time */
    u_int local_time;
    bool synchronised; /* boots and time come from an authenticated message */
};

/* ---- keys, once per protocol and passphrase as long as they are used ---- */

struct cached_key {
    int type;
    char *passphrase;
    bool ready;
    unsigned waiters; /* threads that hold on to it */
    int64_t used_ms;
    TAILQ_ENTRY(cached_key) use; /* the one used longest ago first */
    struct key key;
};

enum { KEYS_MOST = 4096, KEYS_KEEP_MS = 24 * 60 * 60 * 1000 };

static struct thr_mutex keys_lock = THR_MUTEX_INITIALIZER; /* guards the keys; taken alone */
static pthread_cond_t keys_done = PTHREAD_COND_INITIALIZER;
static void *keys; /* tsearch(3) of struct cached_key */
static TAILQ_HEAD(, cached_key) keys_used = TAILQ_HEAD_INITIALIZER(keys_used);
static struct memo_figures keys_figures = {.most = KEYS_MOST, .keep_ms = KEYS_KEEP_MS};

static int v3_compare_keys(const void *left, const void *right)
{
    const struct cached_key *a = left, *b = right;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return strcmp(a->passphrase, b->passphrase);
}

static void v3_free_key(void *node)
{
    struct cached_key *k = node;
    explicit_bzero(k->passphrase, strlen(k->passphrase));
    explicit_bzero(&k->key, sizeof(k->key));
    free(k->passphrase);
    free(k);
}

void snmp_v3_stop(void)
{
    thr_lock(&keys_lock);
    tdestroy(keys, v3_free_key);
    keys = NULL;
    TAILQ_INIT(&keys_used);
    keys_figures.entries = 0;
    thr_unlock(&keys_lock);
}

struct memo_figures snmp_key_figures(void)
{
    thr_lock(&keys_lock);
    struct memo_figures f = keys_figures;
    const struct cached_key *k = TAILQ_FIRST(&keys_used);
    if (k != NULL)
        f.oldest_ms = clock_mono_ms() - k->used_ms;
    thr_unlock(&keys_lock);
    return f;
}

/* With the keys' lock held: the one that was used longest ago goes, if it is too old or one too many. */
static void v3_drop_keys(int64_t now_ms, size_t most)
{
    struct cached_key *k;
    while ((k = TAILQ_FIRST(&keys_used)) != NULL && k->ready && k->waiters == 0) {
        bool old = now_ms - k->used_ms >= KEYS_KEEP_MS;
        if (!old && keys_figures.entries <= most)
            return;
        keys_figures.aged += old;
        keys_figures.evicted += !old;
        keys_figures.entries--;
        TAILQ_REMOVE(&keys_used, k, use);
        tdelete(k, &keys, v3_compare_keys);
        v3_free_key(k);
    }
}

static void v3_use_key(struct cached_key *k, int64_t now_ms)
{
    k->used_ms = now_ms;
    TAILQ_REMOVE(&keys_used, k, use);
    TAILQ_INSERT_TAIL(&keys_used, k, use);
}

/* Three milliseconds of hashing; outside any lock. */
static struct key v3_derive(const struct protocol *auth, const char *passphrase)
{
    struct key key = {.len = sizeof(key.bytes)};
    if (generate_Ku(auth->id, (u_int)auth->id_len, (const u_char *)passphrase, strlen(passphrase),
                    key.bytes, &key.len) != SNMPERR_SUCCESS)
        key.len = 0;
    return key;
}

/* With the keys' lock held; NULL: not asked for yet. */
static struct cached_key *v3_get_key(const struct protocol *auth, const char *passphrase)
{
    struct cached_key wanted = {.type = auth->type, .passphrase = (char *)(uintptr_t)passphrase};
    struct cached_key *const *known = tfind(&wanted, &keys, v3_compare_keys);
    return known == NULL ? NULL : *known;
}

/* false: it would have to be made. */
static bool v3_known_key(const struct protocol *auth, const char *passphrase, struct key *ret)
{
    thr_lock(&keys_lock);
    int64_t now_ms = clock_mono_ms();
    v3_drop_keys(now_ms, KEYS_MOST);
    struct cached_key *k = v3_get_key(auth, passphrase);
    bool ready = k != NULL && k->ready;
    if (ready) {
        v3_use_key(k, now_ms);
        keys_figures.hits++;
        *ret = k->key;
    }
    thr_unlock(&keys_lock);
    return ready;
}

/* With the keys' lock held.  Those in the making stay, whatever their number. */
static struct cached_key *v3_add_key(const struct protocol *auth, const char *passphrase)
{
    struct cached_key *k = mem_zalloc(1, sizeof(*k));
    int64_t now_ms = clock_mono_ms();
    v3_drop_keys(now_ms, KEYS_MOST - 1);
    k->type = auth->type;
    k->passphrase = mem_strdup(passphrase);
    k->used_ms = now_ms;
    (void)mem_need(tsearch(k, &keys, v3_compare_keys));
    TAILQ_INSERT_TAIL(&keys_used, k, use);
    keys_figures.entries++;
    keys_figures.misses++;
    return k;
}

/* Callers that want the same new key wait for the first of them. */
static struct key v3_find_key(const struct protocol *auth, const char *passphrase)
{
    thr_lock(&keys_lock);
    struct cached_key *k = v3_get_key(auth, passphrase);
    if (k == NULL) {
        k = v3_add_key(auth, passphrase);
        thr_unlock(&keys_lock);
        struct key key = v3_derive(auth, passphrase);
        thr_lock(&keys_lock);
        k->key = key;
        k->ready = true;
        thr_wake_all(&keys_done);
    }
    k->waiters++;
    while (!k->ready)
        thr_wait(&keys_done, &keys_lock);
    k->waiters--;
    struct key key = k->key;
    thr_unlock(&keys_lock);
    return key;
}

static bool v3_key_trouble(const char *trouble, const char *kind, struct buf *detail)
{
    if (trouble != NULL)
        buf_printf(detail, "Error generating SNMPv3 Ku from %s pass phrase: %s", kind, trouble);
    return trouble == NULL;
}

static bool v3_check_passphrase(const struct protocol *auth, const char *passphrase,
                                const char *kind, struct buf *detail)
{
    const char *trouble = NULL;
    if (auth->id == NULL)
        trouble = "no known authentication protocol";
    else if (passphrase[0] == '\0')
        trouble = "it is empty";
    else if (strlen(passphrase) < PASSPHRASE_MIN)
        trouble = "it is shorter than 8 characters";
    return v3_key_trouble(trouble, kind, detail);
}

bool snmp_v3_has_keys(struct snmp_v3 *v)
{
    return (v->level == SNMP_SEC_LEVEL_NOAUTH ||
            v3_known_key(&v->auth, v->target->password, &v->auth_key)) &&
           (v->level != SNMP_SEC_LEVEL_AUTHPRIV ||
            v3_known_key(&v->auth, v->target->priv_passphrase, &v->priv_key));
}

void snmp_v3_make_keys(void *arg)
{
    struct snmp_v3 *v = arg;
    if (v->level != SNMP_SEC_LEVEL_NOAUTH)
        v->auth_key = v3_find_key(&v->auth, v->target->password);
    if (v->level == SNMP_SEC_LEVEL_AUTHPRIV)
        v->priv_key = v3_find_key(&v->auth, v->target->priv_passphrase);
}

bool snmp_v3_check_keys(const struct snmp_v3 *v, struct buf *detail)
{
    static const char refused[] = "the SNMP library refuses";
    if (v->level != SNMP_SEC_LEVEL_NOAUTH && v->auth_key.len == 0)
        return v3_key_trouble(refused, "authentication", detail);
    if (v->level == SNMP_SEC_LEVEL_AUTHPRIV && v->priv_key.len == 0)
        return v3_key_trouble(refused, "privacy", detail);
    return true;
}

/* ---- parameters (docs/contract.md 12.4 to 12.7) ---- */

struct protocol_name {
    const char *cacti, *library;
};

static const struct protocol_name auth_names[] = {
    {"MD5", "MD5"},        {"SHA", "SHA"},        {"SHA224", "SHA-224"},
    {"SHA256", "SHA-256"}, {"SHA384", "SHA-384"}, {"SHA512", "SHA-512"},
};

static const struct protocol_name priv_names[] = {
    {"DES", "DES"},           {"AES", "AES"},        {"AES128", "AES"},
    {"AES192", "AES-192"},    {"AES256", "AES-256"}, {"AES192C", "AES-192-C"},
    {"AES256C", "AES-256-C"},
};

static const char *library_name(const struct protocol_name *names, size_t count, const char *cacti)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].cacti, cacti) == 0)
            return names[i].library;
    return NULL;
}

/* Left without an id if neither Cacti nor this build of the library knows it. */
static struct protocol v3_find_auth(const char *name)
{
    struct protocol p = {.type = -1};
    const char *known = library_name(auth_names, ARRAY_LEN(auth_names), name);
    if (known != NULL)
        p.type = usm_lookup_auth_type(known);
    if (p.type >= 0)
        p.id = sc_get_auth_oid(p.type, &p.id_len);
    return p;
}

static struct protocol v3_find_priv(const char *name)
{
    struct protocol p = {.type = -1};
    const char *known = library_name(priv_names, ARRAY_LEN(priv_names), name);
    if (known != NULL)
        p.type = usm_lookup_priv_type(known);
    if (p.type >= 0)
        p.id = sc_get_priv_oid(p.type, &p.id_len);
    return p;
}

static void v3_list(struct buf *out, const char *name, bool known)
{
    if (known)
        buf_printf(out, "%s%s", out->len == 0 ? "" : " ", name);
}

void snmp_library_protocols(struct buf *auth, struct buf *priv)
{
    for (size_t i = 0; i < ARRAY_LEN(auth_names); i++)
        v3_list(auth, auth_names[i].cacti, v3_find_auth(auth_names[i].cacti).id != NULL);
    for (size_t i = 0; i < ARRAY_LEN(priv_names); i++)
        v3_list(priv, priv_names[i].cacti, v3_find_priv(priv_names[i].cacti).id != NULL);
}

static bool take_level(struct snmp_v3 *v, struct buf *detail)
{
    const struct target *t = v->target;
    enum target_security security = target_security(t);
    bool private = security == TARGET_AUTH_PRIV;
    if (security == TARGET_NO_AUTH) {
        v->level = SNMP_SEC_LEVEL_NOAUTH;
        return true;
    }
    v->level = private ? SNMP_SEC_LEVEL_AUTHPRIV : SNMP_SEC_LEVEL_AUTHNOPRIV;
    v->auth = v3_find_auth(t->auth_protocol);
    if (!v3_check_passphrase(&v->auth, t->password, "authentication", detail))
        return false;
    if (!private)
        return true;
    v->priv = v3_find_priv(t->priv_protocol);
    if (v->priv.id == NULL) {
        buf_printf(detail, "unknown SNMPv3 privacy protocol '%s'", t->priv_protocol);
        return false;
    }
    return v3_check_passphrase(&v->auth, t->priv_passphrase, "privacy", detail);
}

static bool v3_take_context_engine(struct snmp_v3 *v, struct buf *detail)
{
    const char *hex = v->target->engine_id;
    if (strncasecmp(hex, "0x", 2) == 0)
        hex += 2;
    size_t len = strlen(hex);
    bool ok = len % 2 == 0 && len / 2 <= SNMP_MAX_ENG_SIZE;
    v->context_engine = mem_zalloc(len / 2 + 1, 1);
    for (size_t i = 0; ok && i < len; i++) {
        int digit = num_hex_digit(hex[i]);
        ok = digit >= 0;
        v->context_engine[i / 2] = (u_char)(v->context_engine[i / 2] << 4 | (digit & 15));
    }
    v->context_engine_len = len / 2;
    if (!ok)
        buf_printf(detail, "the SNMPv3 engine id '%s' is not %d bytes at most in hexadecimal",
                   v->target->engine_id, SNMP_MAX_ENG_SIZE);
    return ok;
}

struct snmp_v3 *snmp_v3_new(const struct target *t, struct buf *detail)
{
    struct snmp_v3 *v = mem_zalloc(1, sizeof(*v));
    v->target = t;
    if (t->username[0] == '\0')
        buf_puts(detail, "no SNMPv3 user name");
    else if (take_level(v, detail) && v3_take_context_engine(v, detail))
        return v;
    snmp_v3_free(v);
    return NULL;
}

void snmp_v3_free(struct snmp_v3 *v)
{
    if (v == NULL)
        return;
    usm_free_user(v->user);
    free(v->context_engine);
    explicit_bzero(v, sizeof(*v));
    free(v);
}

void snmp_v3_describe(struct snmp_v3 *v, netsnmp_session *wanted)
{
    const struct target *t = v->target;
    wanted->version = SNMP_VERSION_3;
    wanted->securityModel = USM_SEC_MODEL_NUMBER;
    wanted->securityLevel = v->level;
    wanted->securityName = (char *)(uintptr_t)t->username;
    wanted->securityNameLen = strlen(t->username);
    wanted->contextName = (char *)(uintptr_t)t->context;
    wanted->contextNameLen = strlen(t->context);
    if (v->context_engine_len > 0) {
        wanted->contextEngineID = v->context_engine;
        wanted->contextEngineIDLen = v->context_engine_len;
    }
}

/* ---- the library's global tables ---- */

/* The library keeps users by engine id and name, and clocks by engine id, in lists without owners
 * or locks that only grow.  They hold nothing but what the session in use needs, and only while it
 * is in use: so two agents with one engine id, or two passphrases of one user, cannot meet. */
void snmp_v3_enter(struct snmp_v3 *v)
{
    thr_lock(&snmp_library_lock);
    if (v->user == NULL)
        return;
    usm_add_user(v->user);
    u_int now = (u_int)snmpv3_local_snmpEngineTime();
    set_enginetime(v->user->engineID, (u_int)v->user->engineIDLen, v->boots,
                   v->time + (now - v->local_time), v->synchronised);
}

void snmp_v3_leave(struct snmp_v3 *v, const netsnmp_session *session)
{
    const enginetime *clock = NULL;
    if (session->securityEngineIDLen > 0)
        clock =
            search_enginetime_list(session->securityEngineID, (u_int)session->securityEngineIDLen);
    if (clock != NULL) {
        v->boots = clock->engineBoot;
        v->time = clock->engineTime;
        v->local_time = (u_int)clock->lastReceivedEngineTime;
        v->synchronised = clock->authenticatedFlag != 0;
    }
    free_etimelist();
    if (v->user != NULL) {
        usm_remove_user(v->user);
        v->user->prev = v->user->next = NULL;
    }
    thr_unlock(&snmp_library_lock);
}

/* ---- the agent's engine ---- */

bool snmp_v3_ready(const struct snmp_v3 *v)
{
    return v->user != NULL;
}

/* RFC 3414 section 4: an empty user, no security, no objects. */
netsnmp_pdu *snmp_v3_discovery(void)
{
    netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET);
    if (pdu == NULL)
        return NULL;
    pdu->version = SNMP_VERSION_3;
    pdu->securityModel = USM_SEC_MODEL_NUMBER;
    pdu->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
    pdu->securityName = strdup("");
    pdu->contextName = strdup("");
    if (pdu->securityName == NULL || pdu->contextName == NULL) {
        snmp_free_pdu(pdu);
        return NULL;
    }
    return pdu;
}

static void *v3_copy(const void *bytes, size_t len)
{
    void *p = mem_alloc(len);
    memcpy(p, bytes, len);
    return p;
}

static void v3_set_protocol(oid **id, size_t *id_len, const struct protocol *p)
{
    free(*id);
    *id = v3_copy(p->id, p->id_len * sizeof(oid));
    *id_len = p->id_len;
}

static bool v3_localise(const struct usmUser *u, const struct key *key, u_char **ret,
                        size_t *ret_len)
{
    *ret = mem_zalloc(1, KEY_MAX);
    *ret_len = KEY_MAX;
    return generate_kul(u->authProtocol, (u_int)u->authProtocolLen, u->engineID, u->engineIDLen,
                        key->bytes, key->len, *ret, ret_len) == SNMPERR_SUCCESS;
}

bool snmp_v3_settle(struct snmp_v3 *v, const netsnmp_session *session, struct buf *detail)
{
    if (session->securityEngineIDLen == 0) {
        buf_puts(detail, "the agent does not tell its engine id");
        return false;
    }
    struct usmUser *u = mem_need(usm_create_user());
    u->engineID = v3_copy(session->securityEngineID, session->securityEngineIDLen);
    u->engineIDLen = session->securityEngineIDLen;
    u->name = mem_strdup(v->target->username);
    u->secName = mem_strdup(v->target->username);
    bool ok = true;
    if (v->level != SNMP_SEC_LEVEL_NOAUTH) {
        v3_set_protocol(&u->authProtocol, &u->authProtocolLen, &v->auth);
        ok = v3_localise(u, &v->auth_key, &u->authKey, &u->authKeyLen);
    }
    if (ok && v->level == SNMP_SEC_LEVEL_AUTHPRIV) {
        v3_set_protocol(&u->privProtocol, &u->privProtocolLen, &v->priv);
        ok = v3_localise(u, &v->priv_key, &u->privKey, &u->privKeyLen) &&
             usm_extend_user_kul(u, KEY_MAX) == SNMPERR_SUCCESS;
    }
    if (!ok) {
        usm_free_user(u);
        buf_puts(detail, "cannot make the SNMPv3 keys of the agent's engine");
        return false;
    }
    v->user = u;
    return true;
}

/* ---- engines that are known from another session ---- */

enum { ENGINES_MOST = 16384, ENGINES_KEEP_MS = 60 * 60 * 1000 };

struct known_engine {
    u_char id[SNMP_MAX_ENG_SIZE];
    size_t id_len;
    u_int boots, time, local_time;
    bool synchronised;
};

struct memo *snmp_engines_new(void)
{
    return memo_new(ENGINES_MOST, ENGINES_KEEP_MS, sizeof(struct known_engine));
}

/* No two agents have one key; what one agent is asked for in another name is another key, too. */
static void v3_put_key(const struct snmp_v3 *v, const struct address *agent, struct buf *key)
{
    const struct target *t = v->target;
    const char *const texts[] = {t->hostname, t->username, t->context, t->engine_id};
    buf_append(key, (const char *)&agent->sa, agent->len);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_append(key, texts[i], strlen(texts[i]) + 1);
}

static bool v3_set_engine(netsnmp_session *session, const struct known_engine *e)
{
    session->securityEngineID = netsnmp_memdup(e->id, e->id_len);
    session->securityEngineIDLen = session->securityEngineID != NULL ? e->id_len : 0;
    if (session->contextEngineIDLen == 0 && session->securityEngineIDLen > 0) {
        session->contextEngineID = netsnmp_memdup(e->id, e->id_len);
        session->contextEngineIDLen = session->contextEngineID != NULL ? e->id_len : 0;
    }
    return session->securityEngineIDLen > 0 && session->contextEngineIDLen > 0;
}

bool snmp_v3_recall(struct snmp_v3 *v, netsnmp_session *session, const struct address *agent,
                    struct memo *engines, int64_t now_ms)
{
    struct known_engine e;
    struct buf key = BUF_INIT, detail = BUF_INIT;
    v3_put_key(v, agent, &key);
    bool known = memo_get(engines, key.data, key.len, now_ms, &e) && v3_set_engine(session, &e) &&
                 snmp_v3_settle(v, session, &detail);
    if (known) {
        v->boots = e.boots;
        v->time = e.time;
        v->local_time = e.local_time;
        v->synchronised = e.synchronised;
    }
    buf_done(&key);
    buf_done(&detail);
    return known;
}

void snmp_v3_keep(const struct snmp_v3 *v, const struct address *agent, struct memo *engines,
                  int64_t now_ms)
{
    struct known_engine e = {.id_len = v->user == NULL ? 0 : v->user->engineIDLen};
    struct buf key = BUF_INIT;
    bool proven = v->synchronised || v->level == SNMP_SEC_LEVEL_NOAUTH;
    if (e.id_len == 0 || e.id_len > sizeof(e.id) || !proven)
        return;
    memcpy(e.id, v->user->engineID, e.id_len);
    e.boots = v->boots;
    e.time = v->time;
    e.local_time = v->local_time;
    e.synchronised = v->synchronised;
    v3_put_key(v, agent, &key);
    memo_put(engines, key.data, key.len, now_ms, &e);
    buf_done(&key);
}

void snmp_v3_forget(const struct snmp_v3 *v, const struct address *agent, struct memo *engines,
                    bool wrong)
{
    struct buf key = BUF_INIT;
    v3_put_key(v, agent, &key);
    memo_drop(engines, key.data, key.len, wrong);
    buf_done(&key);
}

const char *snmp_v3_report_text(int type)
{
    static const struct {
        int type;
        const char *text;
    } table[] = {
        {SNMPERR_UNKNOWN_USER_NAME, "unknown user name (usmStatsUnknownUserNames)"},
        {SNMPERR_AUTHENTICATION_FAILURE,
         "wrong authentication protocol or pass phrase (usmStatsWrongDigests)"},
        {SNMPERR_DECRYPTION_ERR,
         "wrong privacy protocol or pass phrase (usmStatsDecryptionErrors)"},
        {SNMPERR_UNSUPPORTED_SEC_LEVEL,
         "unsupported security level (usmStatsUnsupportedSecLevels)"},
        {SNMPERR_UNKNOWN_ENG_ID, "unknown engine id (usmStatsUnknownEngineIDs)"},
        {SNMPERR_NOT_IN_TIME_WINDOW, "not in time window (usmStatsNotInTimeWindows)"},
        {SNMPERR_BAD_CONTEXT, "unknown context (snmpUnknownContexts)"},
        {SNMPERR_UNKNOWN_SEC_MODEL, "unknown security model (snmpUnknownSecurityModels)"},
        {SNMPERR_INVALID_MSG, "invalid message (snmpInvalidMsgs)"},
        {SNMPERR_BAD_VERSION, "unknown PDU handler (snmpUnknownPDUHandlers)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].type == type)
            return table[i].text;
    return "a Report of unknown kind";
}
