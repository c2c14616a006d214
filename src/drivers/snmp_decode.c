#include "config.h"

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

netsnmp_pdu *snmp_decode_build(const struct snmp_request *r)
{
    static const int commands[] = {[SNMP_OP_GET] = SNMP_MSG_GET,
                                   [SNMP_OP_GETNEXT] = SNMP_MSG_GETNEXT,
                                   [SNMP_OP_GETBULK] = SNMP_MSG_GETBULK};
    netsnmp_pdu *pdu = snmp_pdu_create(commands[r->op]);
    if (pdu == NULL)
        return NULL;
    if (r->op == SNMP_OP_GETBULK) {
        pdu->non_repeaters = 0;
        pdu->max_repetitions = r->bulk_rows > 0 ? r->bulk_rows : 1;
    }
    netsnmp_variable_list **last =
        &pdu->variables; /* the library would walk to the end each time */
    for (size_t i = 0; i < r->count; i++) {
        oid name[OID_MAX_LEN];
        for (size_t k = 0; k < r->names[i].len; k++)
            name[k] = r->names[i].sub[k];
        if (snmp_varlist_add_variable(last, name, r->names[i].len, ASN_NULL, NULL, 0) == NULL) {
            snmp_free_pdu(pdu);
            return NULL;
        }
        last = &(*last)->next_variable;
    }
    return pdu;
}

/* ---- answers ---- */

static enum varbind_type type_of(u_char asn)
{
    static const struct {
        u_char asn;
        enum varbind_type type;
    } table[] = {
        {ASN_INTEGER, VARBIND_INTEGER},
        {ASN_COUNTER, VARBIND_COUNTER32},
        {ASN_GAUGE, VARBIND_GAUGE32},
        {ASN_OCTET_STR, VARBIND_OCTETS},
        {ASN_COUNTER64, VARBIND_COUNTER64},
        {ASN_TIMETICKS, VARBIND_TIMETICKS},
        {ASN_OBJECT_ID, VARBIND_OBJECT_ID},
        {ASN_IPADDRESS, VARBIND_IPADDRESS},
        {ASN_NULL, VARBIND_NULL},
        {ASN_UINTEGER, VARBIND_GAUGE32},
        {ASN_BIT_STR, VARBIND_OCTETS},
        {ASN_NSAP, VARBIND_OCTETS},
        {ASN_OPAQUE, VARBIND_OPAQUE},
        {ASN_OPAQUE_FLOAT, VARBIND_OPAQUE_FLOAT},
        {ASN_OPAQUE_DOUBLE, VARBIND_OPAQUE_DOUBLE},
        {ASN_OPAQUE_COUNTER64, VARBIND_OPAQUE_COUNTER64},
        {ASN_OPAQUE_I64, VARBIND_OPAQUE_INT64},
        {ASN_OPAQUE_U64, VARBIND_OPAQUE_UINT64},
        {SNMP_NOSUCHOBJECT, VARBIND_NO_SUCH_OBJECT},
        {SNMP_NOSUCHINSTANCE, VARBIND_NO_SUCH_INSTANCE},
        {SNMP_ENDOFMIBVIEW, VARBIND_END_OF_MIB_VIEW},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].asn == asn)
            return table[i].type;
    return VARBIND_UNKNOWN;
}

static struct oid copy_oid(uint32_t **at, const oid *from, size_t len)
{
    struct oid view = {*at, len};
    for (size_t i = 0; i < len; i++)
        (*at)[i] = (uint32_t)from[i];
    *at += len;
    return view;
}

static uint64_t counter64(const struct counter64 *c)
{
    return (uint64_t)(c->high & 0xffffffffUL) << 32 | (c->low & 0xffffffffUL);
}

static void decode_value(struct varbind *vb, const netsnmp_variable_list *v, uint32_t **subs,
                         uint8_t **octets)
{
    switch (vb->type) {
    /* Some agents send more than the 32 bits of the standard; what they mean is all of it. */
    case VARBIND_INTEGER: vb->integer = *v->val.integer; break;
    case VARBIND_COUNTER32:
    case VARBIND_GAUGE32:
    case VARBIND_TIMETICKS: vb->number = (uint32_t)*v->val.integer; break;
    case VARBIND_COUNTER64:
    case VARBIND_OPAQUE_COUNTER64:
    case VARBIND_OPAQUE_UINT64: vb->number = counter64(v->val.counter64); break;
    case VARBIND_OPAQUE_INT64: vb->integer = (int64_t)counter64(v->val.counter64); break;
    case VARBIND_OPAQUE_FLOAT: vb->real = (double)*v->val.floatVal; break;
    case VARBIND_OPAQUE_DOUBLE: vb->real = *v->val.doubleVal; break;
    case VARBIND_OCTETS:
    case VARBIND_IPADDRESS:
    case VARBIND_OPAQUE:
        vb->octets.data = *octets;
        vb->octets.len = v->val_len;
        if (v->val_len > 0)
            memcpy(*octets, v->val.string, v->val_len);
        *octets += v->val_len;
        break;
    case VARBIND_OBJECT_ID: vb->oid = copy_oid(subs, v->val.objid, v->val_len / sizeof(oid)); break;
    case VARBIND_NULL:
    case VARBIND_NO_SUCH_OBJECT:
    case VARBIND_NO_SUCH_INSTANCE:
    case VARBIND_END_OF_MIB_VIEW:
    case VARBIND_UNKNOWN: break;
    }
}

/* Never NULL, so that views of no length may point into it. */
static void *at_least(void *memory, size_t *cap, size_t count, size_t size)
{
    if (count == 0)
        count = 1;
    if (count <= *cap)
        return memory;
    *cap = count;
    return mem_realloc(memory, count, size);
}

void snmp_decode_answer(const netsnmp_pdu *pdu, struct snmp_answer *a)
{
    size_t count = 0, subs = 0, octets = 0;
    for (const netsnmp_variable_list *v = pdu->variables; v != NULL; v = v->next_variable) {
        count++;
        subs += v->name_length + (v->type == ASN_OBJECT_ID ? v->val_len / sizeof(oid) : 0);
        octets += v->val_len;
    }
    a->varbinds = at_least(a->varbinds, &a->varbind_cap, count, sizeof(a->varbinds[0]));
    a->subs = at_least(a->subs, &a->sub_cap, subs, sizeof(a->subs[0]));
    a->octets = at_least(a->octets, &a->octet_cap, octets, 1);
    uint32_t *next_sub = a->subs;
    uint8_t *next_octet = a->octets;
    a->count = 0;
    for (const netsnmp_variable_list *v = pdu->variables; v != NULL; v = v->next_variable) {
        struct varbind *vb = &a->varbinds[a->count++];
        memset(vb, 0, sizeof(*vb));
        vb->type = type_of(v->type);
        vb->name = copy_oid(&next_sub, v->name, v->name_length);
        decode_value(vb, v, &next_sub, &next_octet);
    }
    a->error_status = pdu->errstat;
    a->error_index = pdu->errindex;
}

void snmp_decode_clear(struct snmp_answer *a)
{
    a->count = 0;
    a->error_status = a->error_index = 0;
}

void snmp_decode_done(struct snmp_answer *a)
{
    free(a->varbinds);
    free(a->subs);
    free(a->octets);
}
