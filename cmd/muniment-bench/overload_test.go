package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOverloadIsJudged: each thing that must hold is missed by one of these.
func TestOverloadIsJudged(t *testing.T) {
	v := overloadOptions{Floor: 0.6, Patience: time.Second}
	borne := func() *overload {
		return &overload{
			Saturation: 1000, Tenths: slices.Repeat([]float64{700}, 10), Afterwards: 950, Good: latency{P99: 900},
			Before: vitals{40, 200 << 20}, After: vitals{50, 250 << 20},
		}
	}
	if err := borne().judge(v); err != nil {
		t.Errorf("what was borne: %v", err)
	}
	for want, spoil := range map[string]func(*overload){
		"worst tenth":    func(f *overload) { f.Tenths[7] = 599 },
		"afterwards 500": func(f *overload) { f.Afterwards = 500 },
		"good client":    func(f *overload) { f.Good.P99 = 1001 },
		"goroutines":     func(f *overload) { f.After.Goroutines = 73 },
		"memory":         func(f *overload) { f.After.Resident = 320 << 20 },
	} {
		f := borne()
		spoil(f)
		if err := f.judge(v); !errors.Is(err, errOverload) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMetric(t *testing.T) {
	text := []byte("# TYPE go_goroutines gauge\ngo_goroutines_total 9\ngo_goroutines 42\nprocess_resident_memory_bytes 1.2345e+08\nx{a=\"go_goroutines 7\"} 1\n")
	if metric(text, "go_goroutines") != 42 || metric(text, "process_resident_memory_bytes") != 123_450_000 || metric(text, "none") != 0 {
		t.Error("a metric is misread")
	}
}
