package world

import (
	"encoding/json"
	"time"
)

// TrailEvent is something that happened through an API: what CloudTrail calls a management event.
type TrailEvent struct {
	Time         time.Time
	ID           string
	Source       string // "eks.amazonaws.com"
	Name         string // "CreateCluster"
	AccessKey    string
	Principal    string // ARN
	User         string // last part of the ARN
	ReadOnly     bool
	Agent        string // user agent
	InvokedBy    string // "cloudformation.amazonaws.com" when a service called, else empty
	Resources    []TrailResource
	ErrorCode    string
	ErrorMessage string
	RequestID    string
	Request      json.RawMessage
	Response     json.RawMessage
}

// TrailResource is a resource an event is about.
type TrailResource struct{ Type, Name string }

// Trail tells all watchers of an event. It may be called by parts, under the lock, for what they do on their own or in
// another service's name; Time and ID are filled in if absent.
func (w *World) Trail(e TrailEvent) {
	if e.Time.IsZero() {
		e.Time = w.now
	}
	if e.ID == "" {
		e.ID = w.UUID()
	}
	for _, watch := range w.watchers {
		watch(e)
	}
}

// WatchTrail registers a watcher; before Load.
func (w *World) WatchTrail(watch func(TrailEvent)) { w.watchers = append(w.watchers, watch) }
