#include "config.h"

#include "model/varbind.h"

#include <math.h>
#include <string.h>

bool varbind_is_exception(const struct varbind *vb)
{
    return vb->type == VARBIND_NO_SUCH_OBJECT || vb->type == VARBIND_NO_SUCH_INSTANCE ||
           vb->type == VARBIND_END_OF_MIB_VIEW;
}

/* isprint() or isspace() of the C locale. */
static bool varbind_is_printable(uint8_t c)
{
    return (c >= 0x20 && c <= 0x7e) || (c >= '\t' && c <= '\r');
}

static bool all_printable(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!varbind_is_printable(data[i]))
            return false;
    }
    return true;
}

static void print_hex(const uint8_t *data, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%s%02X", i > 0 ? " " : "", (unsigned)data[i]);
}

static void print_dotted(const uint8_t *data, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%s%u", i > 0 ? "." : "", (unsigned)data[i]);
}

/* printf() writes the locale's radix character, which may be several bytes: put a dot in its place.
 */
static void print_real(double real, struct buf *out)
{
    enum { DECIMALS = 6 };
    size_t start = out->len;
    buf_printf(out, "%.*f", DECIMALS, real);
    if (!isfinite(real))
        return;
    char decimals[DECIMALS];
    memcpy(decimals, out->data + out->len - DECIMALS, DECIMALS);
    const char *whole = out->data + start;
    buf_truncate(out, start + strspn(whole, "-0123456789"));
    buf_putc(out, '.');
    buf_append(out, decimals, DECIMALS);
}

static void print_octets(const uint8_t *data, size_t len, struct buf *out)
{
    if (all_printable(data, len))
        buf_append(out, data, len);
    else
        print_hex(data, len, out);
}

void varbind_text(const struct varbind *vb, struct buf *out)
{
    switch (vb->type) {
    case VARBIND_INTEGER:
    case VARBIND_OPAQUE_INT64: buf_put_i64(out, vb->integer); break;
    case VARBIND_COUNTER32:
    case VARBIND_GAUGE32:
    case VARBIND_TIMETICKS:
    case VARBIND_COUNTER64:
    case VARBIND_OPAQUE_COUNTER64:
    case VARBIND_OPAQUE_UINT64: buf_put_u64(out, vb->number); break;
    case VARBIND_OPAQUE_FLOAT:
    case VARBIND_OPAQUE_DOUBLE: print_real(vb->real, out); break;
    case VARBIND_OCTETS: print_octets(vb->octets.data, vb->octets.len, out); break;
    case VARBIND_OPAQUE: print_hex(vb->octets.data, vb->octets.len, out); break;
    case VARBIND_IPADDRESS: print_dotted(vb->octets.data, vb->octets.len, out); break;
    case VARBIND_OBJECT_ID: oid_print_iso(vb->oid, out); break;
    case VARBIND_NULL: buf_puts(out, "NULL"); break;
    case VARBIND_NO_SUCH_OBJECT: buf_puts(out, "No such object on this agent"); break;
    case VARBIND_NO_SUCH_INSTANCE: buf_puts(out, "No such instance on this agent"); break;
    case VARBIND_END_OF_MIB_VIEW: buf_puts(out, "Past the end of the MIB view"); break;
    case VARBIND_UNKNOWN: buf_puts(out, "Value of an unknown type"); break;
    }
}
