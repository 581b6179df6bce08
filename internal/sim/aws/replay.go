package aws

import (
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// memory keeps what reads were answered, so that they can be answered from the past again: for a while after the first
// answer where a service is eventually consistent, or because a fault says so.
type memory struct {
	windows map[string]time.Duration // by service, "*" for all others
	answers map[string]answer
}

type answer struct {
	at    time.Time
	reply *wire.Reply
	err   error
}

// maxAnswers bounds the memory. Forgetting means a fresh answer, which is always allowed.
const maxAnswers = 4096

// fresh returns the answer that a lagging replica still gives, if any.
func (m *memory) fresh(x *wire.Exchange, now time.Time) (answer, bool) {
	window, ok := m.windows[x.Service.Title()]
	if !ok {
		window = m.windows["*"]
	}
	a, found := m.answers[x.Key]
	return a, found && now.Before(a.at.Add(window))
}

// last returns the previous answer however old it is.
func (m *memory) last(x *wire.Exchange) (answer, bool) {
	a, ok := m.answers[x.Key]
	return a, ok
}

func (m *memory) keep(x *wire.Exchange, a answer) {
	if len(m.answers) >= maxAnswers {
		clear(m.answers)
	}
	m.answers[x.Key] = a
}
