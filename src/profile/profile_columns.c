/*
 * profile_columns.c: a profile as numbers, for models that are linear in attributes.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "profile/profile_columns.h"

static int
ColumnsOf(const ProfileAttribute *att)
{
	if (att->weight <= 0)
		return 0;
	switch (att->kind)
	{
		case KIND_NOMINAL:
			return Max(att->nvalues - 1, 0) + (att->other > 0);
		case KIND_SET:
			return att->nvalues;
		default:
			return 1;
	}
}

int
ProfileColumns(const ProfileModel *model)
{
	int n = 0;

	for (int i = 0; i < model->natts; i++)
		n += ColumnsOf(&model->atts[i]);
	return n;
}

char *
ProfileColumnName(const ProfileModel *model, int column)
{
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];
		int n = ColumnsOf(att);

		if (column >= n)
		{
			column -= n;
			continue;
		}
		if (att->kind == KIND_NOMINAL)
			return psprintf("%s: %s", att->name,
							column + 1 < att->nvalues ? att->values[column + 1] : "(other)");
		if (att->kind == KIND_SET)
			return psprintf("%s: %s", att->name, att->values[column]);
		return pstrdup(att->name);
	}
	elog(ERROR, "profile column %d out of range", column);
}

/* The columns of one attribute. */
static void
ValuesOf(const ProfileModel *model, const ProfileAttribute *att, const ProfileView *view,
		 double *values)
{
	int code = view->codes[att->slot];
	int n = ColumnsOf(att);

	for (int i = 0; i < n; i++)
	{
		int value = Min(code, att->nvalues); /* nvalues stands for other values */

		if (code == CODE_MISSING)
			values[i] = get_float8_nan();
		else if (IsScaled(att->kind))
			values[i] = att->levels > 0 ? (double) code / att->levels : 0;
		else if (att->kind == KIND_BOOLEAN)
			values[i] = code == 1;
		else if (att->kind == KIND_SET)
			values[i] = BitmapHas(SetBitmap(view, att->slot - model->nscaled - model->ncoded), i);
		else
			values[i] = value == (att->nvalues > 0 ? i + 1 : 0);
	}
}

void
ProfileColumnValues(const ProfileModel *model, const ProfileView *view, double *values)
{
	CheckProfileOfModel(view, model);
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];

		ValuesOf(model, att, view, values);
		values += ColumnsOf(att);
	}
}
