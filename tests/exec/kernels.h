/* Batch normalization of one channel, for one type: REAL is its name, ROOT its square root.
 *
 * A channel's values lie in `outer` runs of `inner` numbers, `step` from the start of one to the next.
 * Two passes, and sums in double. -DEPSILON_OUTSIDE_SQRT makes the mistake that the name says. */

#define EACH(i, s) \
    for (size_t o_ = 0; o_ < (s).outer; o_++) \
        for (size_t i = o_ * (s).step, end_ = i + (s).inner; i < end_; i++)

static REAL NAME(root)(REAL var, REAL epsilon) {
#ifdef EPSILON_OUTSIDE_SQRT
    return ROOT(var) + epsilon;
#else
    return ROOT(var + epsilon);
#endif
}

static void NAME(moments)(const REAL *x, Places at, REAL *mean, REAL *var) {
    double count = (double)(at.outer * at.inner), sum = 0, squares = 0;
    EACH(i, at) sum += x[i];
    *mean = (REAL)(sum / count);
    EACH(i, at) squares += (x[i] - *mean) * (x[i] - *mean);
    *var = (REAL)(squares / count);
}

static void NAME(normalize)(const REAL *x, Places at, REAL mean, REAL var, REAL gamma, REAL beta,
                            REAL epsilon, REAL *y) {
    REAL s = NAME(root)(var, epsilon);
    EACH(i, at) y[i] = gamma * (x[i] - mean) / s + beta;
}

static void NAME(update)(const REAL *x, Places at, REAL rate, REAL *mean, REAL *var) {
    REAL new_mean, new_var;
    NAME(moments)(x, at, &new_mean, &new_var);
    *mean = (1 - rate) * *mean + rate * new_mean;
    *var = (1 - rate) * *var + rate * new_var;
}

/* through: whether mean and var are of this x, so that the gradient goes through them too. */
static void NAME(gradients)(const REAL *x, const REAL *dy, Places at, REAL mean, REAL var, REAL gamma,
                            REAL epsilon, int through, REAL *dx, REAL *dgamma, REAL *dbeta) {
    REAL s = NAME(root)(var, epsilon);
    double count = (double)(at.outer * at.inner), along_n = 0, sum = 0;
    EACH(i, at) {
        along_n += dy[i] * ((x[i] - mean) / s);
        sum += dy[i];
    }
    EACH(i, at) {
        REAL n = (x[i] - mean) / s, flow = dy[i];
        if (through) flow = dy[i] - (REAL)(sum / count) - n * (REAL)(along_n / count);
        dx[i] = gamma * flow / s;
    }
    *dgamma = (REAL)along_n;
    *dbeta = (REAL)sum;
}

/* One request: the tensors of `r` are of REAL, and as many and as long as its operation needs. */
static void NAME(answer)(const Request *r) {
    const REAL *x = r->tensors[X].data, *dy = r->tensors[DY].data, *gamma = r->tensors[GAMMA].data;
    const REAL *beta = r->tensors[BETA].data;
    REAL *whole = allocate(r->tensors[X].count, sizeof(REAL)); /* y or dx */
    REAL *mean = allocate(r->channels, sizeof(REAL)), *var = allocate(r->channels, sizeof(REAL));
    REAL *dgamma = allocate(r->channels, sizeof(REAL)), *dbeta = allocate(r->channels, sizeof(REAL));
    REAL epsilon = (REAL)r->epsilon;
    int trains = r->operation == TRAIN || r->operation == GRAD, updates = r->operation == UPDATE;
    for (size_t c = 0; c < r->channels; c++) {
        size_t first = c * r->at.inner;
        if (trains)
            NAME(moments)(x + first, r->at, &mean[c], &var[c]);
        else {
            mean[c] = ((const REAL *)r->tensors[updates ? RUNNING_MEAN : MEAN].data)[c];
            var[c] = ((const REAL *)r->tensors[updates ? RUNNING_VAR : VAR].data)[c];
        }
        if (updates)
            NAME(update)(x + first, r->at, (REAL)r->rate, &mean[c], &var[c]);
        else if (dy)
            NAME(gradients)(x + first, dy + first, r->at, mean[c], var[c], gamma[c], epsilon, trains,
                            whole + first, &dgamma[c], &dbeta[c]);
        else
            NAME(normalize)(x + first, r->at, mean[c], var[c], gamma[c], beta[c], epsilon, whole + first);
    }
    Tensor like_x = r->tensors[X], per_channel = {.rank = 1, .shape = {r->channels}, .count = r->channels};
    begin(r->id);
    if (updates) {
        NAME(put)("running_mean", per_channel, mean);
        NAME(put)("running_var", per_channel, var);
    } else if (dy) {
        NAME(put)("dx", like_x, whole);
        NAME(put)("dgamma", per_channel, dgamma);
        NAME(put)("dbeta", per_channel, dbeta);
    } else {
        NAME(put)("y", like_x, whole);
        if (trains) {
            NAME(put)("mean", per_channel, mean);
            NAME(put)("var", per_channel, var);
        }
    }
    finish();
}
