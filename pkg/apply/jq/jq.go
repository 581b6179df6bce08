// Package jq compiles jq programs that pick fields of objects, for the ignore rules of reconcile.yaml (plan.Query).
//
// Input is the text of a program whose outputs are paths, such as .spec.template.spec.containers[] | select(.name == "web").image;
// output is what jq's path(f) gives for an object. A program sees the object and nothing else: no environment, no files, no
// clock, so that the same object gives the same paths; and it ends, after five seconds at the latest.
//
// It is the only package that imports gojq.
package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const (
	// limit bounds one evaluation: jq can express loops without end.
	limit = 5 * time.Second
	// most bounds what one evaluation may pick.
	most = 10_000
)

type query struct {
	text string
	code *gojq.Code
}

// Compile reads a program; its error says what is wrong with it.
func Compile(text string) (plan.Query, error) {
	program, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	if program.Meta != nil || len(program.Imports) > 0 {
		return nil, errors.New("a query stands alone: it cannot import modules")
	}
	// The clock and its zone are hidden: a program of the same name as a built-in one comes first.
	prelude, err := gojq.Parse(`def _hidden: error("a query sees the object alone, no clock"); def now: _hidden; def localtime: _hidden; def strflocaltime(f): _hidden; .`)
	if err != nil {
		return nil, err
	}
	prelude.Term = &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: "path", Args: []*gojq.Query{program}}}
	code, err := gojq.Compile(prelude)
	if err != nil {
		return nil, err
	}
	return query{text, code}, nil
}

// String is the program.
func (q query) String() string { return q.text }

// Paths evaluates the program. What an object does not have is not picked: a list that is missing has no items.
func (q query) Paths(object gitops.Tree) ([][]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit) //nolint:forbidigo // who asks is pure and has no context; the limit ends it
	defer cancel()
	var out [][]any
	for iter := q.code.RunWithContext(ctx, plainly(object)); ; {
		v, more := iter.Next()
		if !more {
			return out, nil
		}
		switch v := v.(type) {
		case error:
			if missing(v) {
				return out, nil
			}
			if errors.Is(v, context.DeadlineExceeded) {
				return nil, fmt.Errorf("it did not end within %s", limit)
			}
			return nil, v
		case []any:
			if out = append(out, v); len(out) > most {
				return nil, fmt.Errorf("it picks more than %d fields", most)
			}
		}
	}
}

// missing reports whether a program asked for the items of what is not there. gojq tells it by the text alone.
func missing(err error) bool { return strings.HasSuffix(err.Error(), "cannot iterate over: null") }

// plainly gives a value with the types that gojq knows: its whole numbers are ints.
func plainly(v any) any {
	switch v := v.(type) {
	case gitops.Tree:
		out := make(gitops.Tree, len(v))
		for name, value := range v {
			out[name] = plainly(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plainly(item)
		}
		return out
	case int32:
		return int(v)
	case int64:
		return int(v)
	case uint64:
		return float64(v)
	case float32:
		return float64(v)
	}
	return v
}
