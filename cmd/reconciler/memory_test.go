package main

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eks-gitops/reconciler/pkg/run"
)

// TestCalm: memory is given back once after every burst of events, not during one.
func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var freed atomic.Int32
		c := newCalm(func() { freed.Add(1) })
		for burst := range 3 {
			for range 100 {
				c.Emit(run.Fetched{})
				time.Sleep(time.Second)
				if n := freed.Load(); n != int32(burst) {
					t.Fatalf("freed %d times in burst %d", n, burst)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		c.stop()
		c.Emit(run.Fetched{})
		c.stop()
		if n := freed.Load(); n != 3 {
			t.Errorf("freed %d times after 3 bursts", n)
		}
	})
}
