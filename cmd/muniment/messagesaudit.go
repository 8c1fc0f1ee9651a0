package main

import "github.com/muniment/muniment/service/client"

// What audit says to people, in both languages.
var (
	sayAuditShort = phrase{"Mirror a public log, check all of it, and watch it", "镜像公开日志，逐一核验，并持续监视"}
	sayAuditLong  = phrase{
		`Mirror a log through its public tiles, and check everything: that the newest checkpoint
satisfies the policy and continues the one of the last audit; that each tile follows from
the entries and leads to the signed root; that each entry is spelled as entries are,
genesis stands at 0 alone, and times never decrease. No account is needed. --log is the
address under which "checkpoint" and "tile/" stand: of a depository, its address and /log.

MIRROR is a folder in the layout of C2SP tlog-tiles: any web server can serve it, and any
tile client read it. Stopped in any way, the same command goes on where it was; the next
audit fetches only what is new. Without --log nothing is fetched, and the mirror is checked
as it lies on disk.

--compare names others that show the same log: replicas and mirrors, at the address under
which "checkpoint" stands, and witnesses at theirs. What one signed checkpoint says and another
contradicts is a fork: both notes, and the proof that ties them, are written to fork-… in
MIRROR, and show it to anyone. --receipts holds your own receipts against the log.

--watch audits again and again, and says what changes. It ends by itself only where the
log is proved to contradict itself or its rules; stopped, its exit code is what the last
audit came to. --webhook is told of each alarm when it is raised and when it is cleared,
as JSON; --textfile is for Prometheus' node_exporter.

JSON: outcome, origin, size, root, policy, mirror, fresh, newest, cosigned, compared
(url, outcome, size, root), receipts (found, stand), records, records_absent, alarms,
seconds; of an alarm: alarm, at, old, new, piece, from, to, rule, files, says.

Exit code 0: sound. 1: the log contradicts itself or its rules (fork, breach), or a
checkpoint or receipt is refused. 2: something could not be read or decided. 3: rollback:
less is shown than was signed, for longer than --lag. 4: missing: entries or tiles are not
there, or not what was signed. 5: stale. Of several, the first of 1, 4, 3, 5, 2.`,
		`通过公开的数据块镜像日志并逐一核验：最新检查点符合信任策略，且承接上次核验的检查点；每个数据块均由条目推得，
并通向已签名的根；每个条目书写规范，创世条目只在 0 号，时间从不倒退。无需账户。--log 为“checkpoint”与“tile/”
所在的网址：对存证机构而言，即其网址加 /log。

MIRROR 文件夹采用 C2SP tlog-tiles 的布局：任何网页服务器都可提供，任何数据块客户端都可读取。无论以何种方式中断，
再次执行同一命令即可继续；以后只取新增部分。不给出 --log 时不联网，只核验磁盘上已有的镜像。

--compare 列出展示同一日志的其他来源：副本与镜像（“checkpoint”所在的网址），以及见证方（其自身网址）。两个已签名的检查点互相
矛盾即为分叉：双方原文及其关联证明写入 MIRROR 中的 fork-… 文件，可向任何人出示。--receipts 将自有回执与日志核对。

--watch 反复核验，并报告变化。仅当日志被证明自相矛盾或违反自身规则时才自行结束；被停止时，退出码为最后一次核验的结果。
--webhook 在每项警报出现与解除时收到 JSON；--textfile 供 Prometheus 的 node_exporter 读取。

JSON 字段：outcome、origin、size、root、policy、mirror、fresh、newest、cosigned、compared
（url、outcome、size、root）、receipts（found、stand）、records、records_absent、alarms、seconds；
警报：alarm、at、old、new、piece、from、to、rule、files、says。

退出码 0：无异常。1：日志自相矛盾或违反自身规则（fork、breach），或检查点、回执不予采信。2：有内容无法读取或判定。
3：rollback：展示的少于已签名的，且超过 --lag。4：missing：条目或数据块缺失，或与已签名的不符。5：stale：停滞。
同时存在时，按 1、4、3、5、2 的次序取第一个。`,
	}
	sayAuditExample = phrase{
		`  muniment audit --log https://depository.example/log --policy depository.policy --dir mirror
  muniment audit --log https://depository.example/log --policy depository.policy --dir mirror --watch 1m --compare https://replica.example/log --webhook https://alarm.example/hook
  muniment audit --policy depository.policy --dir mirror --receipts receipts`,
		`  muniment audit --log https://depository.example/log --policy depository.policy --dir 镜像
  muniment audit --log https://depository.example/log --policy depository.policy --dir 镜像 --watch 1m --compare https://replica.example/log --webhook https://alarm.example/hook
  muniment audit --policy depository.policy --dir 镜像 --receipts 回执`,
	}
	sayFlagAuditLog      = phrase{"`url` under which checkpoint and tile/ stand; without it the mirror alone is checked", "checkpoint 与 tile/ 所在的 `url`；不给出则只核验镜像"}
	sayFlagAuditDir      = phrase{"`folder` of the mirror; made if it is not there (required)", "镜像所在的 `folder`；不存在则新建（必需）"}
	sayFlagAuditCompare  = phrase{"`url` of another source of the same log's checkpoint; may be repeated", "同一日志检查点的其他来源 `url`，可重复"}
	sayFlagAuditReceipts = phrase{"`folder` of receipts to hold against the log", "与日志核对的回执 `folder`"}
	sayFlagAuditWatch    = phrase{"go on, with this `time` between two audits, such as 1m", "持续核验，每两次之间相隔 `time`，如 1m"}
	sayFlagAuditStale    = phrase{"`time` without a new entry or cosignature after which the log is stale (default: never, with --watch 15m)", "无新条目或见证签名超过 `time` 即为停滞（默认从不；与 --watch 同用时 15m）"}
	sayFlagAuditLag      = phrase{"`time` for which less than was signed is taken for lag, and no rollback (default 2m)", "展示的少于已签名的，在 `time` 之内视为滞后而非回退（默认 2m）"}
	sayFlagAuditWebhook  = phrase{"`url` that alarms are posted to", "接收警报的 `url`"}
	sayFlagAuditTextfile = phrase{"`file` for metrics, such as /var/lib/prometheus/node-exporter/muniment.prom", "写入指标的 `file`，如 /var/lib/prometheus/node-exporter/muniment.prom"}
	sayFlagAuditParallel = phrase{"`number` of tiles fetched at once (default 8)", "同时获取的数据块 `number`（默认 8）"}
	sayFlagAuditAgain    = phrase{"check again what was checked before, and fetch anew what is damaged on disk", "重新核验此前已核验的部分，并重取磁盘上已损坏的部分"}

	sayWhichMirror     = phrase{"which folder is the mirror? Give --dir FOLDER", "镜像在哪个文件夹？请给出 --dir FOLDER"}
	sayWatchBounds     = phrase{"--watch is a second or more", "--watch 至少为一秒"}
	sayWatchWhat       = phrase{"which log is to be watched? Give --log URL", "监视哪个日志？请给出 --log URL"}
	sayNegativeTime    = phrase{"--stale and --lag are no times before zero", "--stale 与 --lag 不能为负"}
	sayTooManyCompared = phrase{"--compare names at most %d others", "--compare 至多列出 %d 个来源"}
	sayNoAddress       = phrase{`"%s" is no address: it begins with https:// or http://`, "“%s”不是网址：应以 https:// 或 http:// 开头"}
	sayMirrorInUse     = phrase{"%s: another audit is at work there", "%s：另一核验正在使用"}
	sayNotMirror       = phrase{"%s is not the mirror of this log: %s", "%s 不是该日志的镜像：%s"}
	sayMirrorOfAnother = phrase{"what %s remembers is not of the policy's log (%s); each log needs a folder of its own, and where the log's key changed, the policy must name both", "%s 所记录的并非信任策略所列的日志（%s）；每个日志须各用一个文件夹；若日志密钥已更换，信任策略须同时列出新旧两个"}
	sayMirrorEmpty     = phrase{"the mirror is empty; give --log URL to fill it", "镜像为空；请给出 --log URL"}
	sayMirrorShort     = phrase{"the mirror has %d entries, and this is about %d", "镜像有 %d 个条目，而此处涉及 %d 个"}
	sayPolicyNoLog     = phrase{"the policy %s names no log", "信任策略 %s 未列出任何日志"}
	sayWebhookSays     = phrase{"it answered %s", "其应答为 %s"}
	sayEntriesOf       = phrase{"%d of %d entries", "%d/%d 个条目"}

	saySound            = phrase{"SOUND. All %d entries of the log %s are mirrored, and every check holds.", "无异常。已镜像 %d 个条目，日志为 %s，各项核验均成立。"}
	sayAlarmAt          = phrase{"%s ALARM: %s", "%s 警报：%s"}
	sayAlarmEnded       = phrase{"%s over: %s", "%s 解除：%s"}
	sayForkFound        = phrase{"the log %s has signed two histories: the checkpoint of %d entries of %s and the one of %d entries of %s contradict each other. The proof was written to the files below.", "日志 %s 签署了两段不同的历史：含 %d 个条目者（%s）与含 %d 个条目者（%s）互相矛盾。证据已写入下列文件。"}
	sayLagging          = phrase{"%s shows a log of %d entries, and one of %d is signed. It may lag, or have been rolled back.", "%s 展示的日志有 %d 个条目，而已签名的有 %d 个。可能滞后，也可能已被回退。"}
	sayRolledBack       = phrase{"%s shows a log of %d entries, and one of %d is signed; so since %s. The log was rolled back, or hides what it signed.", "%s 展示的日志有 %d 个条目，而已签名的有 %d 个；自 %s 起如此。日志已被回退，或隐瞒了其已签名的内容。"}
	sayPieceWrong       = phrase{"%s: %s, of entries %d to %d: %s", "%s：%s，涉及条目 %d 至 %d：%s"}
	sayPieceUnsigned    = phrase{"it is not what the log signed", "与日志已签名的不符"}
	sayEntryAhead       = phrase{"the newest entry is dated %s, and this machine's clock says %s: one of the clocks is wrong", "最新条目的时间为 %s，而本机时钟为 %s：其中之一有误"}
	sayCosignedAmiss    = phrase{"the witness %s says that it cosigned at %s, and the newest entry is dated %s: one of the clocks is wrong", "见证方 %s 称其签名时间为 %s，而最新条目的时间为 %s：其中有时钟有误"}
	sayStaleLog         = phrase{"the log does not move: nothing newer than %s is in it", "日志停滞：其中没有晚于 %s 的内容"}
	sayReceiptElsewhere = phrase{"%s: its entry is not the entry %d of the mirrored log", "%s：其条目并非镜像日志的第 %d 号条目"}
	sayRecordWrong      = phrase{"%s: the public record of entry %d does not fit it", "%s：第 %d 号条目的公开描述与之不符"}

	headMirror        = phrase{"Mirror", "镜像"}
	headMirrored      = phrase{"Entries mirrored", "已镜像条目"}
	headFresh         = phrase{"New since the last audit", "上次核验以来新增"}
	headNewest        = phrase{"Newest entry (UTC)", "最新条目（UTC）"}
	headCosigned      = phrase{"Cosigned (UTC)", "见证签名（UTC）"}
	headReceiptsStand = phrase{"Receipts that stand", "成立的回执"}
)

// breachRules say what an entry breaks.
var breachRules = map[client.BreachRule]phrase{
	client.BreachMalformed: {"entry %s stands in the log, and is no entry", "第 %s 号在日志之中，却不是条目"},
	client.BreachGenesis:   {"entry %s: genesis stands at 0, and nowhere else", "第 %s 号条目：创世条目只能在 0 号"},
	client.BreachTime:      {"entry %s is dated before the one that precedes it", "第 %s 号条目的时间早于其前一条"},
}

// alarmHeads begin an alarm.
var alarmHeads = map[string]phrase{
	alarmFork:      {"FORK: %s", "分叉：%s"},
	alarmBreach:    {"BREACH: %s", "违规：%s"},
	alarmRefused:   {"REFUSED: %s", "不予采信：%s"},
	alarmMissing:   {"MISSING: %s", "缺失：%s"},
	alarmRollback:  {"ROLLBACK: %s", "回退：%s"},
	alarmStale:     {"STALE: %s", "停滞：%s"},
	alarmUndecided: {"UNDECIDED: %s", "无法判定：%s"},
}

// comparedHeads say what another source shows.
var comparedHeads = map[string]phrase{
	"consistent": {"Consistent", "一致"},
	"fork":       {"Contradicts", "矛盾"},
	"ahead":      {"Ahead", "超前"},
	"unread":     {"Not compared", "未比对"},
}
