/* Batch normalization behind standard input and output: an example of the protocol of
 * conformance/implementations/PROTOCOL.md, in C99 without any library but the standard one.
 *
 *     cc -std=gnu99 -O2 -o batch_norm batch_norm.c -lm && bnconf run --impl 'exec:./batch_norm'
 *
 * Kernels are in kernels.h, included once for float and once for double. */

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { X, GAMMA, BETA, MEAN, VAR, RUNNING_MEAN, RUNNING_VAR, DY, TENSORS };
enum { TRAIN, INFER, UPDATE, GRAD, GRAD_INFER, OPERATIONS };
enum { FLOAT32, FLOAT64, OTHER };

static const char *const tensor_names[] = {"x",   "gamma",        "beta",        "mean",
                                           "var", "running_mean", "running_var", "dy"};
static const char *const operation_names[] = {"train", "infer", "update", "grad", "grad-infer"};
static const char *const dtype_names[] = {"float32", "float64"};

#define BIT(tensor) (1u << (tensor))
static const unsigned needs[] = {
    [TRAIN] = BIT(X) | BIT(GAMMA) | BIT(BETA),
    [INFER] = BIT(X) | BIT(GAMMA) | BIT(BETA) | BIT(MEAN) | BIT(VAR),
    [UPDATE] = BIT(X) | BIT(RUNNING_MEAN) | BIT(RUNNING_VAR),
    [GRAD] = BIT(X) | BIT(GAMMA) | BIT(BETA) | BIT(DY),
    [GRAD_INFER] = BIT(X) | BIT(GAMMA) | BIT(BETA) | BIT(MEAN) | BIT(VAR) | BIT(DY),
};

typedef struct { size_t rank, shape[8], count; int dtype; void *data; } Tensor;
typedef struct { size_t outer, inner, step; } Places; /* of one channel's values */
typedef struct {
    long id;
    int greets, operation, dtype;
    double epsilon, rate;
    size_t channels;
    Places at;
    Tensor tensors[TENSORS];
} Request;

/* Memory of one request. */

static void *blocks[32];
static size_t blocks_used;

static void *kept(void *block) {
    if (!block || blocks_used == sizeof blocks / sizeof *blocks) abort();
    return blocks[blocks_used++] = block;
}

static void *allocate(size_t count, size_t size) { return kept(calloc(count ? count : 1, size)); }

static void release(void) {
    while (blocks_used) free(blocks[--blocks_used]);
}

/* Reading JSON: as much of it as requests are made of. `at` is where the reader stands in the line. */

static const char *at;
static jmp_buf next_request;

static void broken(void) {
    fprintf(stderr, "not understood: %.40s\n", at);
    exit(2);
}

static char peek(void) {
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') at++;
    return *at;
}

static int take(char c) {
    if (peek() != c) return 0;
    at++;
    return 1;
}

static void expect(char c) {
    if (!take(c)) broken();
}

static void read_name(char name[32]) {
    size_t length = 0;
    for (expect('"'); *at && *at != '"'; at++)
        if (length < 31) name[length++] = *at;
    name[length] = 0;
    expect('"');
}

static double read_number(void) { /* strtod knows "NaN" and "Infinity" */
    int quoted = take('"');
    char *end;
    double number = strtod(at, &end);
    if (end == at) broken();
    at = end;
    if (quoted) expect('"');
    return number;
}

static double *read_numbers(size_t *count) {
    size_t room = 64;
    double *numbers = malloc(room * sizeof *numbers);
    *count = 0;
    expect('[');
    if (!take(']')) {
        do {
            if (*count == room) numbers = realloc(numbers, (room *= 2) * sizeof *numbers);
            if (!numbers) abort();
            numbers[(*count)++] = read_number();
        } while (take(','));
        expect(']');
    }
    return kept(numbers);
}

static int read_one_of(const char *const names[], int count) {
    char name[32];
    read_name(name);
    for (int k = 0; k < count; k++)
        if (!strcmp(name, names[k])) return k;
    return count;
}

static void skip(void) {
    if (take('"')) {
        for (; *at && *at != '"'; at++)
            if (*at == '\\' && at[1]) at++;
        expect('"');
    } else if (take('{') || take('[')) {
        while (peek() != '}' && peek() != ']' && *at)
            if (!take(',') && !take(':')) skip();
        at += *at != 0;
    } else {
        size_t length = strcspn(at, ",:]} \n");
        if (!length) broken();
        at += length;
    }
}

static void read_tensor(Tensor *tensor) {
    char key[32];
    expect('{');
    do {
        read_name(key);
        expect(':');
        if (!strcmp(key, "dtype"))
            tensor->dtype = read_one_of(dtype_names, OTHER);
        else if (!strcmp(key, "values"))
            tensor->data = read_numbers(&tensor->count);
        else if (!strcmp(key, "shape")) {
            double *sizes = read_numbers(&tensor->rank);
            if (tensor->rank > 8) broken();
            for (size_t k = 0; k < tensor->rank; k++) tensor->shape[k] = (size_t)sizes[k];
        } else
            skip();
    } while (take(','));
    expect('}');
}

static void read_request(Request *r) {
    char key[32];
    expect('{');
    do {
        read_name(key);
        expect(':');
        if (!strcmp(key, "batchnorm-conformance"))
            r->greets = read_number() == 1;
        else if (!strcmp(key, "id"))
            r->id = (long)read_number();
        else if (!strcmp(key, "operation"))
            r->operation = read_one_of(operation_names, OPERATIONS);
        else if (!strcmp(key, "dtype"))
            r->dtype = read_one_of(dtype_names, OTHER);
        else if (!strcmp(key, "epsilon"))
            r->epsilon = read_number();
        else if (!strcmp(key, "rate"))
            r->rate = read_number();
        else if (!strcmp(key, "inputs")) {
            expect('{');
            do {
                int which = read_one_of(tensor_names, TENSORS);
                expect(':');
                if (which == TENSORS)
                    skip();
                else
                    read_tensor(&r->tensors[which]);
            } while (take(','));
            expect('}');
        } else
            skip();
    } while (take(','));
    expect('}');
}

/* Writing: %.9g tells every float, %.17g every double. */

static int outputs_written;

static void begin(long id) {
    printf("{\"id\": %ld, \"outputs\": {", id);
    outputs_written = 0;
}

static void finish(void) { printf("}}\n"); }

static void put(const char *name, Tensor like) {
    printf("%s\"%s\": {\"shape\": [", outputs_written++ ? ", " : "", name);
    for (size_t k = 0; k < like.rank; k++) printf("%s%zu", k ? ", " : "", like.shape[k]);
    printf("], \"values\": [");
}

static void put_number(double number, int digits, int first) {
    if (!first) putchar(',');
    if (isnan(number))
        printf("\"NaN\"");
    else if (isinf(number))
        printf(number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        printf("%.*g", digits, number);
}

static void refuse(const Request *r, const char *kind, const char *what, const char *why) {
    printf("{\"id\": %ld, \"%s\": \"%s %s\"}\n", r->id, kind, what, why);
    longjmp(next_request, 1);
}

/* The answers, for float and for double. */

#define PUT(REAL, DIGITS) \
    static void NAME(put)(const char *name, Tensor like, const REAL *numbers) { \
        put(name, like); \
        for (size_t k = 0; k < like.count; k++) put_number(numbers[k], DIGITS, !k); \
        printf("]}"); \
    }

#define REAL float
#define ROOT sqrtf
#define NAME(function) function##_float
PUT(float, 9)
#include "kernels.h"
#undef REAL
#undef ROOT
#undef NAME
#define REAL double
#define ROOT sqrt
#define NAME(function) function##_double
PUT(double, 17)
#include "kernels.h"

/* Everything that could make a kernel read past an end is looked at here. */
static void check(Request *r) {
    const Tensor *x = &r->tensors[X];
    if (r->operation == OPERATIONS) refuse(r, "unsupported", "this operation", "is not offered");
    if (r->dtype == OTHER) refuse(r, "error", "x", "is neither float32 nor float64");
    if (r->epsilon < 0) refuse(r, "error", "epsilon", "is negative");
    if (x->rank < 2 || x->rank > 5) refuse(r, "error", "x", "has no layout of 2 to 5 axes");
    r->channels = x->shape[1];
    r->at = (Places){.outer = x->shape[0], .inner = 1};
    for (size_t k = 2; k < x->rank; k++) r->at.inner *= x->shape[k];
    r->at.step = r->channels * r->at.inner;
    for (int k = 0; k < TENSORS; k++) {
        Tensor *t = &r->tensors[k];
        if (!(needs[r->operation] & BIT(k))) continue;
        if (!t->data) refuse(r, "error", tensor_names[k], "is missing");
        if (t->dtype != r->dtype) refuse(r, "error", tensor_names[k], "has another dtype than x");
        int like_x = k == X || k == DY;
        if (like_x ? t->rank != x->rank || memcmp(t->shape, x->shape, sizeof x->shape) : t->rank != 1)
            refuse(r, "error", tensor_names[k], "has the wrong shape");
        if (t->count != (like_x ? r->at.outer * r->at.step : r->channels))
            refuse(r, "error", tensor_names[k], "has the wrong number of values");
    }
}

static void narrow(Tensor *tensor) {
    double *wide = tensor->data;
    float *numbers = allocate(tensor->count, sizeof *numbers);
    for (size_t k = 0; k < tensor->count; k++) numbers[k] = (float)wide[k];
    tensor->data = numbers;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        Request r = {.rate = 0};
        at = line;
        for (int k = 0; k < TENSORS; k++) r.tensors[k].dtype = -1;
        read_request(&r);
        for (int k = 0; k < TENSORS; k++)
            if (r.tensors[k].dtype == -1) r.tensors[k].dtype = r.dtype;
        if (r.greets)
            puts("{\"batchnorm-conformance\": 1, \"name\": \"c-two-pass\", \"framework\": \"c\","
                 " \"operations\": [\"train\", \"infer\", \"update\", \"grad\", \"grad-infer\"],"
                 " \"dtypes\": [\"float32\", \"float64\"], \"ranks\": [2, 3, 4, 5], \"channel_axis\": 1}");
        else if (!setjmp(next_request)) {
            check(&r);
            for (int k = 0; k < TENSORS && r.dtype == FLOAT32; k++)
                if (r.tensors[k].data) narrow(&r.tensors[k]);
            if (r.dtype == FLOAT32)
                answer_float(&r);
            else
                answer_double(&r);
        }
        fflush(stdout);
        release();
    }
    free(line);
    return 0;
}
