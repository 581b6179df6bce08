package aws

import (
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Request is one line of the request log.
type Request struct {
	// Seq counts all requests from 1.
	Seq       int       `json:"seq"`
	Time      time.Time `json:"time"`
	ID        string    `json:"id"`
	Service   string    `json:"service,omitempty"`
	Operation string    `json:"operation,omitempty"`
	ReadOnly  bool      `json:"readOnly,omitempty"`
	Caller    string    `json:"caller,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	// Path is the URL's: operations of REST services name in it what they are about.
	Path string `json:"path,omitempty"`
	// Input is the decoded request under the simulator's own field names.
	Input   json.RawMessage `json:"input,omitempty"`
	Status  int             `json:"status"` // 0: the connection was dropped
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
	Fault   string          `json:"fault,omitempty"` // id of the rule that decided
	Took    time.Duration   `json:"took"`
}

// requestLog keeps the last requests and writes each as a line of JSON, if there is a writer.
type requestLog struct {
	mu    sync.Mutex
	ring  []Request
	size  int
	count int
	out   io.Writer
	log   *slog.Logger
}

const defaultLogSize = 4096

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	r.Seq = l.count
	if len(l.ring) < l.size {
		l.ring = append(l.ring, r)
	} else {
		l.ring[(l.count-1)%l.size] = r
	}
	if l.out == nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if err != nil {
		l.log.Warn("writing the request log", "error", err)
	}
}

// since lists the kept requests whose Seq is greater than seq, oldest first.
func (l *requestLog) since(seq int) []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Request{}
	first := l.count - len(l.ring) + 1
	for n := max(first, seq+1); n <= l.count; n++ {
		out = append(out, l.ring[(n-1)%l.size])
	}
	return out
}
