/*
 * A preload for the linux.uml of kernel 6.1 on processors with AMX.
 *
 * That kernel keeps a guest process's extended registers in a buffer of 2696
 * bytes. Where the processor has more (AMX's tiles alone are 8 KiB), the host
 * refuses to set registers from so short a buffer, and the guest's first process dies.
 * So: give the host a buffer of the full size, whose rest is zero, and tell it
 * in the XSAVE header that the components in that rest are in their initial state.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

enum {
	AREA_MAX = 1 << 16,
	XSTATE_BV = 512, /* where the XSAVE header keeps its mask of components */
};

/* x87, SSE, AVX, AVX-512's three and PKRU: what fits into the 2696 bytes. */
static const uint64_t in_short_area = 0x2e7;

typedef long ptrace_fn(int, pid_t, void *, void *);

static ptrace_fn *host_ptrace;
static unsigned char area[AREA_MAX] __attribute__((aligned(64)));
static size_t area_size; /* of this processor; 0: not asked yet */

__attribute__((constructor)) static void find_ptrace(void)
{
	host_ptrace = (ptrace_fn *)dlsym(RTLD_NEXT, "ptrace");
}

static size_t full_size(pid_t pid)
{
	struct iovec all = {area, sizeof area};

	if (area_size == 0 &&
	    host_ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all) == 0)
		area_size = all.iov_len;
	return area_size;
}

static long set_from_short(pid_t pid, const struct iovec *given)
{
	struct iovec all = {area, area_size};
	uint64_t components;

	memset(area, 0, area_size);
	memcpy(area, given->iov_base, given->iov_len);
	memcpy(&components, area + XSTATE_BV, sizeof components);
	components &= in_short_area;
	memcpy(area + XSTATE_BV, &components, sizeof components);
	return host_ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;

	va_start(args, request);
	pid_t pid = va_arg(args, pid_t);
	void *addr = va_arg(args, void *);
	void *data = va_arg(args, void *);
	va_end(args);

	if (request == PTRACE_SETREGSET && addr == (void *)NT_X86_XSTATE) {
		const struct iovec *given = data;

		if (given->iov_len >= XSTATE_BV + 64 && full_size(pid) > given->iov_len)
			return set_from_short(pid, given);
	}
	return host_ptrace(request, pid, addr, data);
}
