package notary

import "testing"

// TestRegistration: every mistyped character of a known number is found, and every two that
// were exchanged; of an LEI, whose check is made for that, a digit for a digit and a letter
// for a letter.
func TestRegistration(t *testing.T) {
	for _, number := range []string{
		"91440300708461136T", "91350100M000100Y43", // USCC
		"5493001KJTIIGC8Y1R12", "506700GE1G29325QX363", // LEI
	} {
		if err := checkRegistration(number); err != nil {
			t.Errorf("%s: %v", number, err)
		}
		alphabet := "0123456789ABCDEFGHJKLMNPQRTUWXY"
		for i := range number {
			for _, c := range alphabet {
				if len(number) == 20 && (c > '9') != (number[i] > '9') {
					continue
				}
				wrong := number[:i] + string(c) + number[i+1:]
				if err := checkRegistration(wrong); (err == nil) != (wrong == number) {
					t.Errorf("%s is taken for %s", wrong, number)
				}
			}
			if i > 0 && number[i] != number[i-1] && (len(number) == 18 || (number[i] > '9') == (number[i-1] > '9')) {
				if wrong := number[:i-1] + number[i:i+1] + number[i-1:i] + number[i+1:]; checkRegistration(wrong) == nil {
					t.Errorf("%s is taken for %s", wrong, number)
				}
			}
		}
	}
	for _, other := range []string{"", "HRB 12345", "91440300TEST000017", "12345678"} {
		if err := checkRegistration(other); err != nil {
			t.Errorf("%q: %v", other, err)
		}
	}
}
