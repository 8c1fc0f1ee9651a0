package certificate

import (
	"errors"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// ErrFacts: the fact sheet in a certificate does not hold under the verifier's policy.
var ErrFacts = errors.New("the fact sheet in the certificate does not hold under this policy")

// CheckFacts judges the fact sheet that came along, if there is one.
func (c *Checked) CheckFacts(v *proofs.Verifier) error {
	if c.Facts == nil {
		return nil
	}
	r, err := proofs.ParseReceipt(c.Facts)
	if err != nil {
		return ErrFacts
	}
	if e, err := v.Verify(r, nil); err != nil || e.Outcome() == proofs.Refused {
		return errors.Join(ErrFacts, err)
	}
	return nil
}

// Say puts an error of Check or CheckFacts into words. refused: the certificate must not be
// relied on; else nothing is known of it.
func Say(err error, lang proofs.Language) (says string, refused bool) {
	different, unproved := new(DifferenceError), new(NotProvedError)
	switch {
	case errors.As(err, &different):
		return sayAltered.in(lang, different.Where(lang)), true
	case errors.As(err, &unproved) && unproved.Reason == proofs.ReasonDocument, errors.As(err, &unproved) && unproved.Reason == proofs.ReasonSM3:
		return sayDocumentOther.in(lang), true
	case errors.As(err, &unproved):
		return sayUnproved.in(lang, string(unproved.Reason)), true
	case errors.Is(err, ErrSignature):
		return saySignatureFails.in(lang), true
	case errors.Is(err, ErrFacts):
		return sayFactsFail.in(lang), true
	case errors.Is(err, ErrTemplate):
		return sayNewer.in(lang), false
	}
	return sayUnreadable.in(lang), true
}

// Refusal is the verdict on a certificate of which Say said so.
func Refusal(says string, lang proofs.Language) string { return sayRefusal.in(lang, says) }

// Explain says what is known of a certificate beside its receipt, and what is not. policy is
// the fingerprint of the one by which the receipt was judged. Text that is not ours is made
// harmless.
func (c *Checked) Explain(lang proofs.Language, policy string) (proved, open []string) {
	proved = append(proved, saySame.in(lang, c.Number))
	if s := c.Signature; s == nil {
		open = append(open, sayUnsignedPaper.in(lang))
	} else {
		proved = append(proved, sayWhole.in(lang, proofs.Plain(s.Subject)))
		if s.Authority != "" {
			proved = append(proved, sayDatedBy.in(lang, proofs.FormatTime(s.Time), proofs.Plain(s.Authority)))
		} else {
			open = append(open, sayUndatedPaper.in(lang))
		}
		open = append(open, sayWhoSigned.in(lang, proofs.Plain(s.Issuer)))
	}
	open = append(open, sayIssuersWord.in(lang))
	if c.Evidence.Policy != policy {
		open = append(open, sayOtherPolicy.in(lang, c.Evidence.Policy))
	}
	return proved, open
}

// InBundle looks into the certificates of case bundles, for bundle.Judge. authorities are as
// for Check.
func InBundle(authorities *rfc3161.Authorities) func(data []byte) bundle.Paper {
	return func(data []byte) bundle.Paper {
		c, err := Check(data, authorities)
		if err != nil {
			_, refused := Say(err, proofs.English)
			return bundle.Paper{Unknown: !refused, Refused: func(lang proofs.Language) string {
				says, _ := Say(err, lang)
				return says
			}}
		}
		p := bundle.Paper{Number: c.Number, Deposit: c.Standing.Deposit, Policy: c.Evidence.Policy}
		if c.Signature != nil {
			p.Signer = c.Signature.Subject
		}
		p.Receipt, _ = proofs.ParseReceipt(c.Receipt) // Check has parsed both
		if c.Facts != nil {
			facts, _ := proofs.ParseReceipt(c.Facts)
			p.Facts = &facts
		}
		return p
	}
}

var (
	sayRefusal        = phrase{"REFUSED. Do not rely on this certificate. %s", "验证不通过：请勿采信该证书。%s"}
	sayAltered        = phrase{"The certificate was altered: %s is not what the receipt in it gives.", "证书已被改动：%s与其内嵌回执所得不符。"}
	sayUnproved       = phrase{"The receipt in the certificate does not hold under the policy that came with it (%s): it was altered.", "证书内嵌回执不符合其所附信任策略（%s）：已被改动。"}
	sayDocumentOther  = phrase{"The document embedded in the certificate is not the one that the receipt is about: one of the two was altered.", "内嵌于证书的文件并非回执所指的文件：二者之一已被改动。"}
	saySignatureFails = phrase{"The electronic signature of the certificate does not hold: the file was altered, or signed by another than it says.", "证书的电子签名不成立：文件已被改动，或签名者并非所称之人。"}
	sayUnreadable     = phrase{"It cannot be read as a certificate: it is cut off, damaged, or none.", "无法作为证书读取：文件不完整、已损坏或并非证书。"}
	sayNewer          = phrase{"the certificate is of a version that this program does not know; use a newer one, or take out its files with pdfdetach and verify the receipt", "本程序不认识该版本的证书；请使用更新的版本，或以 pdfdetach 取出其中的文件并核验回执"}
	sayFactsFail      = phrase{"The fact sheet in the certificate does not hold under your policy.", "证书内嵌的机构信息表不符合您的信任策略。"}
	saySame           = phrase{"The certificate %s is, byte for byte, what the receipt in it gives: no printed word and no embedded file was altered.", "证书 %s 与其内嵌回执所得逐字节一致：印刷内容与内嵌文件均未被改动。"}
	sayWhole          = phrase{"Its electronic signature is over the whole file, by the key of the certificate of %s.", "其电子签名覆盖整个文件，由 %s 之证书的密钥作出。"}
	sayDatedBy        = phrase{"The signature existed at %s, as the time-stamp authority %s states.", "该签名于 %s 已经存在，时间戳机构 %s 为此声明。"}
	sayWhoSigned      = phrase{"That the signer is who its certificate says: whether to trust %s, which issued it, is yours to judge.", "签名者确为其证书所称之人：是否信任签发该证书的 %s，由您判断。"}
	sayUndatedPaper   = phrase{"When it was signed: no time-stamp on the signature by an authority that you trust was checked.", "签名的时间：未检查由您信任的机构在签名上加盖的时间戳。"}
	sayUnsignedPaper  = phrase{"Who issued the certificate: it bears no electronic signature.", "证书由谁出具：其未经电子签名。"}
	sayIssuersWord    = phrase{"What the certificate says beside the receipt, as its issuer's word: the status of the deposit, the time of issue, logo and statement.", "证书在回执之外的记载，系出具者的陈述：存证状态、出具时间、标识与声明。"}
	sayOtherPolicy    = phrase{"The certificate was made under another policy, %s. It is judged by yours here.", "证书依据另一份信任策略 %s 制作；此处按您的策略判断。"}
)
