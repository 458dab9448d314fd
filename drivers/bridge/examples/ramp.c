/* A helper for drivers/bridge, complete but for a camera. Its counts are the band's number plus the frame's.
 *
 *     cc -O2 -Wall -Wextra -o ramp ramp.c && ./ramp [PIXELS BANDS]
 *
 * It talks over standard input and output. A camera's library takes the place of `apply` and `fill`. It must print nothing to standard
 * output. drivers/bridge/src/lib.rs describes the framing. Numbers are sent as they lie in memory, on little endian machines only.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int pixels = 32, bands = 8, shutter_open = 1;
static double exposure_us = 1000.0, frame_rate_hz = 50.0;

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void send_bytes(const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t written = write(1, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            exit(1);
        at += written;
        length -= (size_t)written;
    }
}

static void send_head(const char *tag, size_t length)
{
    char head[8];
    uint32_t body = (uint32_t)length;
    memcpy(head, tag, 4);
    memcpy(head + 4, &body, 4);
    send_bytes(head, sizeof head);
}

static void send_text(const char *tag, const char *text)
{
    send_head(tag, strlen(text));
    send_bytes(text, strlen(text));
}

static void greet(void)
{
    size_t room = 1024 + 16 * (size_t)bands;
    char *text = malloc(room);
    if (!text)
        exit(1);
    int n = snprintf(text, room,
                     "version = 1\nmodel = ramp in C\nserial = C01\npixels = %d\nbands = %d\nsaturation = 4095\nshutter = 1\n"
                     "max_frame_rate_hz = 500\nexposure_range_us = 10,20000\ncounter_bits = 32\ncounter_start = 0\nwavelengths_nm = ",
                     pixels, bands);
    for (int band = 0; band < bands; band++)
        n += snprintf(text + n, room - (size_t)n, "%s%d", band ? "," : "", 400 + 5 * band);
    send_text("HELO", text);
    free(text);
}

/* The library's part: applies settings. Returns 0, or -1 for a refusal. */
static int apply(double wanted_us, double wanted_hz, int x, int y)
{
    if (x != 1 || y != 1)
        return -1;
    exposure_us = wanted_us < 10 ? 10 : wanted_us > 20000 ? 20000 : wanted_us;
    frame_rate_hz = wanted_hz > 500 ? 500 : wanted_hz;
    if (frame_rate_hz > 1e6 / exposure_us)
        frame_rate_hz = 1e6 / exposure_us;
    return 0;
}

/* The library's part: fills the counts, [band][pixel]. */
static void fill(uint16_t *counts, uint64_t number)
{
    int lowest = shutter_open ? (int)(number % 4000) : 0;
    for (int band = 0; band < bands; band++)
        for (int pixel = 0; pixel < pixels; pixel++)
            *counts++ = (uint16_t)(lowest + band);
}

static int streaming = 0;
static uint32_t stream;
static uint64_t number;
static int64_t begun;

static void obey(char *line)
{
    char answer[512], word[16] = "";
    unsigned long long id = 0;
    int used = 0, open, x, y;
    double us, hz;
    if (sscanf(line, "%llu %15s %n", &id, word, &used) < 2) {
        snprintf(answer, sizeof answer, "id = %llu\nreason = a line is a number and a word\n", id);
        send_text("FAIL", answer);
        return;
    }
    const char *values = line + used;
    int n = snprintf(answer, sizeof answer, "id = %llu\n", id);
    const char *reason = NULL;
    if (strcmp(word, "apply") == 0) {
        if (sscanf(values, "exposure_us=%lf frame_rate_hz=%lf binning=%d,%d", &us, &hz, &x, &y) != 4)
            reason = "exposure_us, frame_rate_hz and binning are needed";
        else if (apply(us, hz, x, y) != 0)
            reason = "it does not bin";
        else
            snprintf(answer + n, sizeof answer - (size_t)n, "exposure_us = %.17g\nframe_rate_hz = %.17g\nbinning = 1,1\n", exposure_us,
                     frame_rate_hz);
    } else if (strcmp(word, "shutter") == 0 && sscanf(values, "open=%d", &open) == 1) {
        shutter_open = open;
    } else if (strcmp(word, "start") == 0 && sscanf(values, "stream=%u", &stream) == 1) {
        streaming = 1;
        number = 0;
        begun = now_ns(CLOCK_MONOTONIC);
    } else if (strcmp(word, "stop") == 0) {
        streaming = 0;
    } else if (strcmp(word, "status") != 0) {
        reason = "no such word, or not its values";
    }
    if (reason)
        snprintf(answer + n, sizeof answer - (size_t)n, "reason = %s\n", reason);
    send_text(reason ? "FAIL" : "DONE", answer);
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        pixels = atoi(argv[1]);
        bands = atoi(argv[2]);
    }
    if (pixels < 1 || bands < 1)
        return 2;
    size_t bytes = (size_t)pixels * (size_t)bands * 2;
    uint16_t *counts = malloc(bytes);
    if (!counts)
        return 1;
    greet();
    char waiting[4096];
    size_t held = 0;
    for (;;) {
        int wait_ms = -1;
        if (streaming) {
            int64_t due = begun + (int64_t)((double)number * 1e9 / frame_rate_hz);
            int64_t left = due - now_ns(CLOCK_MONOTONIC);
            wait_ms = left > 0 ? (int)((left + 999999) / 1000000) : 0;
        }
        struct pollfd input = {.fd = 0, .events = POLLIN, .revents = 0};
        if (poll(&input, 1, wait_ms) > 0) {
            ssize_t got = read(0, waiting + held, sizeof waiting - 1 - held);
            if (got <= 0)
                break;
            held += (size_t)got;
            waiting[held] = 0;
            char *line = waiting, *end;
            while ((end = strchr(line, '\n'))) {
                *end = 0;
                obey(line);
                line = end + 1;
            }
            held = strlen(line);
            memmove(waiting, line, held);
        } else if (streaming) {
            uint64_t device_ns = (uint64_t)now_ns(CLOCK_MONOTONIC);
            int64_t host_ns = now_ns(CLOCK_REALTIME);
            uint32_t status = 0;
            char head[32];
            memcpy(head, &number, 8);
            memcpy(head + 8, &device_ns, 8);
            memcpy(head + 16, &host_ns, 8);
            memcpy(head + 24, &stream, 4);
            memcpy(head + 28, &status, 4);
            fill(counts, number);
            send_head("FRAM", sizeof head + bytes);
            send_bytes(head, sizeof head);
            send_bytes(counts, bytes);
            number = (number + 1) & 0xFFFFFFFF;
        }
    }
    free(counts);
    return 0;
}
