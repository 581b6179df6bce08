package aws

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// pipeline is what every request passes between the wire and its service, in this order:
//
//	scripted fault -> throttle -> replica lag -> the world's lock, advance, handler, save -> trail -> request log
type pipeline struct {
	world  *world.World
	clock  world.Clock
	faults *fault.Script
	log    *requestLog
	closed <-chan struct{} // ends hanging requests when the server closes

	mu       sync.Mutex // guards throttle and memory
	throttle throttle
	memory   memory
}

func (p *pipeline) around(ctx context.Context, x *wire.Exchange, next func(context.Context) (*wire.Reply, error)) (*wire.Reply, error) {
	began := p.clock()
	input := marshal(x.In) // now, while nobody else has it: the handler may keep parts of it in its state
	call := fault.Call{Service: x.Service.Title(), Operation: x.Operation.Name, Text: x.Request.Method + " " + x.Request.URL.RequestURI() + "\n" + string(x.Body)}
	rule := p.faults.Decide(call)
	reply, err := p.faulty(ctx, x, rule, next)
	entry := Request{
		Time: began, ID: x.RequestID, Service: call.Service, Operation: call.Operation, ReadOnly: x.Operation.ReadOnly(),
		Caller: x.Caller.ARN, Agent: x.Request.UserAgent(), Path: x.Request.URL.Path, Input: input, Took: p.clock().Sub(began),
	}
	if rule != nil {
		entry.Fault = rule.ID
	}
	describe(&entry, reply, err)
	p.log.add(entry)
	return reply, err
}

// refused logs a request that no operation was found for, or whose signature or input was wrong.
func (p *pipeline) refused(r *http.Request, id string, err *wire.Error) {
	p.log.add(Request{
		Time: p.clock(), ID: id, Agent: r.UserAgent(), Status: err.StatusCode(), Code: err.Code, Message: err.Message,
	})
}

func describe(entry *Request, reply *wire.Reply, err error) {
	var awsErr *wire.Error
	switch {
	case err == nil:
		entry.Status = reply.Status
	case errors.Is(err, wire.ErrAbort):
		entry.Message = err.Error()
	case errors.As(err, &awsErr):
		entry.Status, entry.Code, entry.Message = awsErr.StatusCode(), awsErr.Code, awsErr.Message
	default:
		entry.Status, entry.Code, entry.Message = http.StatusInternalServerError, "InternalFailure", err.Error()
	}
}

// faulty carries out the rule that decided the call, if any.
func (p *pipeline) faulty(ctx context.Context, x *wire.Exchange, rule *fault.Rule, next func(context.Context) (*wire.Reply, error)) (*wire.Reply, error) {
	if rule == nil {
		return p.admitted(ctx, x, next)
	}
	switch rule.Effect {
	case fault.Throttle:
		return nil, throttled(x.Service)
	case fault.Fail:
		return nil, &wire.Error{Status: rule.Status, Code: rule.Code, Message: orText(rule.Message, "scripted fault "+rule.ID)}
	case fault.Latency:
		if err := p.wait(ctx, time.Duration(rule.Delay)); err != nil {
			return nil, err
		}
	case fault.Hang:
		return nil, p.wait(ctx, -1)
	case fault.Drop:
		_, _ = p.admitted(ctx, x, next) // done; the caller never learns how it went
		return nil, wire.ErrAbort
	case fault.Stale:
		p.mu.Lock()
		past, ok := p.memory.last(x)
		p.mu.Unlock()
		if ok && x.Operation.ReadOnly() {
			return past.reply, past.err
		}
	}
	return p.admitted(ctx, x, next)
}

func orText(v, def string) string {
	if v == "" {
		return def
	}
	return v
}

// wait lets d pass, or waits for good if d is negative; it ends early with ErrAbort when the caller gives up or the server
// closes.
func (p *pipeline) wait(ctx context.Context, d time.Duration) error {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	case <-p.closed:
	}
	return wire.ErrAbort
}

// admitted runs the operation unless it is throttled or answered by a lagging replica.
func (p *pipeline) admitted(ctx context.Context, x *wire.Exchange, next func(context.Context) (*wire.Reply, error)) (*wire.Reply, error) {
	now := p.clock()
	p.mu.Lock()
	allowed := p.throttle.take(x.Service.Title(), x.Operation.Name, now)
	past, lagging := p.memory.fresh(x, now)
	p.mu.Unlock()
	switch {
	case !allowed:
		return nil, throttled(x.Service)
	case lagging && x.Operation.ReadOnly():
		return past.reply, past.err
	}
	reply, err := p.run(ctx, x, next)
	if x.Operation.ReadOnly() {
		p.mu.Lock()
		p.memory.keep(x, answer{at: now, reply: reply, err: err})
		p.mu.Unlock()
	}
	return reply, err
}

// run runs the operation, and again while its answer waits for news. The wait is by the caller's time, not the world's.
func (p *pipeline) run(ctx context.Context, x *wire.Exchange, next func(context.Context) (*wire.Reply, error)) (*wire.Reply, error) {
	var over <-chan time.Time
	for {
		reply, err := p.handle(ctx, x, next)
		if err != nil {
			return nil, err
		}
		pending, ok := reply.Out.(wire.Pending)
		if !ok {
			return reply, nil
		}
		news, limit := pending.Pending()
		if news == nil {
			return reply, nil
		}
		if over == nil {
			timer := time.NewTimer(limit)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-news:
		case <-over:
			return reply, nil
		case <-ctx.Done():
			return nil, wire.ErrAbort
		case <-p.closed:
			return nil, wire.ErrAbort
		}
	}
}

func (p *pipeline) handle(ctx context.Context, x *wire.Exchange, next func(context.Context) (*wire.Reply, error)) (*wire.Reply, error) {
	var reply *wire.Reply
	// A client that hangs up does not undo what it asked for: AWS would have done it too.
	ctx = context.WithoutCancel(ctx)
	err := p.world.Do(!x.Operation.ReadOnly(), func() error {
		var err error
		reply, err = next(ctx)
		if !x.Operation.Data {
			p.world.Trail(trailEvent(x, reply, err))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

func trailEvent(x *wire.Exchange, reply *wire.Reply, err error) world.TrailEvent {
	e := world.TrailEvent{
		Source: x.Service.Name + ".amazonaws.com", Name: x.Operation.Name, AccessKey: x.Caller.AccessKey, Principal: x.Caller.ARN,
		User: x.Caller.ARN[strings.LastIndexByte(x.Caller.ARN, '/')+1:], ReadOnly: x.Operation.ReadOnly(), RequestID: x.RequestID,
		Agent: x.Request.UserAgent(),
	}
	if e.ReadOnly {
		return e // CloudTrail's lookup is asked for changes; the inputs of reads are not worth their memory
	}
	e.Request = marshal(wire.Parameters(x.Service.Protocol, x.In))
	var awsErr *wire.Error
	switch {
	case errors.As(err, &awsErr):
		e.ErrorCode, e.ErrorMessage = awsErr.Code, awsErr.Message
	case err != nil:
		e.ErrorCode, e.ErrorMessage = "InternalFailure", err.Error()
	default:
		e.Response = marshal(reply.Out)
	}
	return e
}

func marshal(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return raw
}
