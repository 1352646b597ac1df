; Made by scripts/build_scanner.py (numba 0.68.1) from scanner*.py.
; sources: 8c43d71ffdff47cc5926375f45a3fb1fe8649a285b6888055616ccfee6393572
define internal i32 @scan.0(ptr %retptr, ptr %excinfo, i64 %arg.s, i64 %arg.i, i64 %arg.hi) {
B0:
  %.209 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  store ptr null, ptr %excinfo.1, align 8
  %.243 = alloca i64, align 8
  %excinfo.2 = alloca ptr, align 8
  store ptr null, ptr %excinfo.2, align 8
  %.315 = alloca i64, align 8
  %excinfo.3 = alloca ptr, align 8
  store ptr null, ptr %excinfo.3, align 8
  br label %B6

B6:
  %i.3.0 = phi i64 [ %arg.i, %B0 ], [ %.223, %B1096 ], [ %.257, %B1042 ]
  %.21 = icmp slt i64 %i.3.0, %arg.hi
  br i1 %.21, label %B18, label %B420

B18:
  %.30 = inttoptr i64 %i.3.0 to ptr
  %.31 = load i8, ptr %.30, align 1
  %0 = zext i8 %.31 to i32
  switch i32 %0, label %B420 [
    i32 44, label %B208.preheader
    i32 32, label %B208.preheader
    i32 10, label %B208.preheader
    i32 13, label %B208.preheader
    i32 9, label %B208.preheader
  ]

B208.preheader:
  %.79138 = add nsw i64 %i.3.0, 1
  %.90139 = icmp slt i64 %.79138, %arg.hi
  br i1 %.90139, label %B230.preheader, label %B420

B230.preheader:
  br label %B230

B230:
  %.79140 = phi i64 [ %.79, %B1133 ], [ %.79138, %B230.preheader ]
  %.95 = inttoptr i64 %.79140 to ptr
  %.96 = load i8, ptr %.95, align 1
  %1 = zext i8 %.96 to i32
  switch i32 %1, label %B420.loopexit [
    i32 44, label %B1133
    i32 32, label %B1133
    i32 10, label %B1133
    i32 13, label %B1133
    i32 9, label %B1133
  ]

B420.loopexit:
  br label %B420

B420:
  %i.5.1 = phi i64 [ %i.3.0, %B18 ], [ %i.3.0, %B6 ], [ %.79138, %B208.preheader ], [ %.79140, %B420.loopexit ]
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr83 = getelementptr i8, ptr %sunkaddr, i64 504
  store i64 %i.5.1, ptr %sunkaddr83, align 8
  %.141.not = icmp slt i64 %i.5.1, %arg.hi
  br i1 %.141.not, label %B510, label %B486

common.ret:
  %common.ret.op = phi i32 [ 0, %B486 ], [ 0, %B558 ], [ 0, %B750 ], [ 0, %B912 ], [ 0, %B1128 ], [ %.213, %B826.if.if ], [ %.319, %B1010.if ], [ %.247, %B866.if ]
  ret i32 %common.ret.op

B486:
  store i64 0, ptr %retptr, align 8
  br label %common.ret

B510:
  %.152 = inttoptr i64 %i.5.1 to ptr
  %.153 = load i8, ptr %.152, align 1
  %.155 = icmp eq i8 %.153, 93
  br i1 %.155, label %B558, label %B642

B558:
  %.160 = add nsw i64 %i.5.1, 1
  %sunkaddr84 = inttoptr i64 %arg.s to ptr
  %sunkaddr85 = getelementptr i8, ptr %sunkaddr84, i64 504
  store i64 %.160, ptr %sunkaddr85, align 8
  store i64 1, ptr %retptr, align 8
  br label %common.ret

B642:
  %sunkaddr86 = inttoptr i64 %arg.s to ptr
  %sunkaddr87 = getelementptr i8, ptr %sunkaddr86, i64 512
  %.176 = load i64, ptr %sunkaddr87, align 8
  %sunkaddr88 = inttoptr i64 %arg.s to ptr
  %sunkaddr89 = getelementptr i8, ptr %sunkaddr88, i64 600
  %.181 = load i64, ptr %sunkaddr89, align 8
  %.182.not = icmp slt i64 %.176, %.181
  br i1 %.182.not, label %B774, label %B750

B750:
  store i64 2, ptr %retptr, align 8
  br label %common.ret

B774:
  %.196 = icmp eq i8 %.153, 123
  br i1 %.196, label %B826, label %B866

B826:
  %.204 = add nsw i64 %i.5.1, 1
  store i64 0, ptr %.209, align 8
  %.213 = call i32 @read_event.1(ptr nonnull %.209, ptr nonnull %excinfo.1, i64 %.204, i64 %arg.hi, i64 %arg.s)
  %.223 = load i64, ptr %.209, align 8
  %cond = icmp eq i32 %.213, 0
  br i1 %cond, label %B898, label %B826.if.if

B866:
  store i64 0, ptr %.243, align 8
  %.247 = call i32 @skip_value.2(ptr nonnull %.243, ptr nonnull %excinfo.2, i64 %i.5.1, i64 %arg.hi, i64 %arg.s)
  %.257 = load i64, ptr %.243, align 8
  %cond15 = icmp eq i32 %.247, 0
  br i1 %cond15, label %B898.thread, label %B866.if

B898:
  %.279 = icmp slt i64 %.223, 0
  br i1 %.279, label %B912, label %B1010

B898.thread:
  %.279101 = icmp slt i64 %.257, 0
  br i1 %.279101, label %B912, label %B1042

B912:
  %"$phi898.0.2.1104" = phi i64 [ %.257, %B898.thread ], [ %.223, %B898 ]
  %.288 = icmp eq i64 %"$phi898.0.2.1104", -1
  %spec.select = select i1 %.288, i64 4, i64 5
  store i64 %spec.select, ptr %retptr, align 8
  br label %common.ret

B1010:
  store i64 0, ptr %.315, align 8
  %.319 = call i32 @take.3(ptr nonnull %.315, ptr nonnull %excinfo.3, i64 %arg.s)
  %cond14 = icmp eq i32 %.319, 0
  br i1 %cond14, label %B1096, label %B1010.if

B1042:
  %sunkaddr90 = inttoptr i64 %arg.s to ptr
  %sunkaddr91 = getelementptr i8, ptr %sunkaddr90, i64 576
  %.10.i = load i64, ptr %sunkaddr91, align 8
  %.11.i = add nsw i64 %.10.i, 1
  store i64 %.11.i, ptr %sunkaddr91, align 8
  br label %B6

B1096:
  %.329 = load i64, ptr %.315, align 8
  %.376.not = icmp eq i64 %.329, 0
  br i1 %.376.not, label %B6, label %B1128

B1128:
  store i64 %.329, ptr %retptr, align 8
  br label %common.ret

B1133:
  %.79 = add i64 %.79140, 1
  %exitcond.not = icmp eq i64 %arg.hi, %.79
  br i1 %exitcond.not, label %B420.thread, label %B230

B420.thread:
  %sunkaddr92 = inttoptr i64 %arg.s to ptr
  %sunkaddr93 = getelementptr i8, ptr %sunkaddr92, i64 504
  store i64 %arg.hi, ptr %sunkaddr93, align 8
  br label %B486

B826.if.if:
  %.221 = icmp sgt i32 %.213, 0
  %.214 = load ptr, ptr %excinfo.1, align 8
  %.222 = select i1 %.221, ptr %.214, ptr undef
  store ptr %.222, ptr %excinfo, align 8
  br label %common.ret

B866.if:
  %.255 = icmp sgt i32 %.247, 0
  %.248 = load ptr, ptr %excinfo.2, align 8
  %.256 = select i1 %.255, ptr %.248, ptr undef
  store ptr %.256, ptr %excinfo, align 8
  br label %common.ret

B1010.if:
  %.327 = icmp sgt i32 %.319, 0
  %.320 = load ptr, ptr %excinfo.3, align 8
  %.328 = select i1 %.327, ptr %.320, ptr undef
  store ptr %.328, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @read_event.1(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B464.preheader:
  %const = bitcast i64 -9223372036854775808 to i64
  %.262 = alloca i64, align 8
  store i64 0, ptr %.262, align 8
  %excinfo.7 = alloca ptr, align 8
  store ptr null, ptr %excinfo.7, align 8
  %.17 = inttoptr i64 %arg.s to ptr
  store i64 0, ptr %.17, align 8
  %.21 = add i64 %arg.s, 8
  %.22 = inttoptr i64 %.21 to ptr
  store i64 0, ptr %.22, align 8
  %.26 = add i64 %arg.s, 16
  %.27 = inttoptr i64 %.26 to ptr
  store i64 -1, ptr %.27, align 8
  %.31 = add i64 %arg.s, 32
  %.32 = inttoptr i64 %.31 to ptr
  store i64 -1, ptr %.32, align 8
  %.36 = add i64 %arg.s, 120
  %.37 = inttoptr i64 %.36 to ptr
  store i64 0, ptr %.37, align 8
  %.41 = add i64 %arg.s, 136
  %.42 = inttoptr i64 %.41 to ptr
  store i64 0, ptr %.42, align 8
  %.7.i = add i64 %arg.s, 48
  %.8.i = inttoptr i64 %.7.i to ptr
  store i64 0, ptr %.8.i, align 8
  %.12.i = add i64 %arg.s, 56
  %.13.i = inttoptr i64 %.12.i to ptr
  store i64 1, ptr %.13.i, align 8
  %.17.i = add i64 %arg.s, 64
  %.18.i = inttoptr i64 %.17.i to ptr
  store i64 0, ptr %.18.i, align 8
  %.22.i = add i64 %arg.s, 72
  %.23.i = inttoptr i64 %.22.i to ptr
  store i64 0, ptr %.23.i, align 8
  %.7.i1 = add i64 %arg.s, 80
  %.8.i2 = inttoptr i64 %.7.i1 to ptr
  store i64 0, ptr %.8.i2, align 8
  %.12.i3 = add i64 %arg.s, 88
  %.13.i4 = inttoptr i64 %.12.i3 to ptr
  store i64 1, ptr %.13.i4, align 8
  %.17.i5 = add i64 %arg.s, 96
  %.18.i6 = inttoptr i64 %.17.i5 to ptr
  store i64 0, ptr %.18.i6, align 8
  %.22.i7 = add i64 %arg.s, 104
  %.23.i8 = inttoptr i64 %.22.i7 to ptr
  store i64 0, ptr %.23.i8, align 8
  %.9.i = add i64 %arg.s, 144
  %.10.i = inttoptr i64 %.9.i to ptr
  store i64 %const, ptr %.10.i, align 8
  %.14.i = add i64 %arg.s, 152
  %.15.i73 = inttoptr i64 %.14.i to ptr
  store i64 %const, ptr %.15.i73, align 8
  %.19.i = add i64 %arg.s, 160
  %.20.i = inttoptr i64 %.19.i to ptr
  store i64 %const, ptr %.20.i, align 8
  %.24.i74 = add i64 %arg.s, 168
  %.25.i = inttoptr i64 %.24.i74 to ptr
  store i64 0, ptr %.25.i, align 8
  %.29.i75 = add i64 %arg.s, 176
  %.30.i76 = inttoptr i64 %.29.i75 to ptr
  store i64 %const, ptr %.30.i76, align 8
  %.34.i = add i64 %arg.s, 184
  %.35.i = inttoptr i64 %.34.i to ptr
  store i64 %const, ptr %.35.i, align 8
  %.39.i = add i64 %arg.s, 192
  %.40.i = inttoptr i64 %.39.i to ptr
  store i64 %const, ptr %.40.i, align 8
  %.44.i = add i64 %arg.s, 200
  %.45.i = inttoptr i64 %.44.i to ptr
  store i64 -1, ptr %.45.i, align 8
  %.169.i = add i64 %arg.s, 216
  %.171.i = inttoptr i64 %.169.i to ptr
  store i64 -1, ptr %.171.i, align 8
  %.170.1.i = add i64 %arg.s, 232
  %.171.1.i = inttoptr i64 %.170.1.i to ptr
  store i64 -1, ptr %.171.1.i, align 8
  %.170.2.i = add i64 %arg.s, 248
  %.171.2.i = inttoptr i64 %.170.2.i to ptr
  store i64 -1, ptr %.171.2.i, align 8
  %.170.3.i = add i64 %arg.s, 264
  %.171.3.i = inttoptr i64 %.170.3.i to ptr
  store i64 -1, ptr %.171.3.i, align 8
  %.170.4.i = add i64 %arg.s, 280
  %.171.4.i = inttoptr i64 %.170.4.i to ptr
  store i64 -1, ptr %.171.4.i, align 8
  %.170.5.i = add i64 %arg.s, 296
  %.171.5.i = inttoptr i64 %.170.5.i to ptr
  store i64 -1, ptr %.171.5.i, align 8
  %.170.6.i = add i64 %arg.s, 312
  %.171.6.i = inttoptr i64 %.170.6.i to ptr
  store i64 -1, ptr %.171.6.i, align 8
  %.170.7.i = add i64 %arg.s, 328
  %.171.7.i = inttoptr i64 %.170.7.i to ptr
  store i64 -1, ptr %.171.7.i, align 8
  %.170.8.i = add i64 %arg.s, 344
  %.171.8.i = inttoptr i64 %.170.8.i to ptr
  store i64 -1, ptr %.171.8.i, align 8
  %.170.9.i = add i64 %arg.s, 360
  %.171.9.i = inttoptr i64 %.170.9.i to ptr
  store i64 -1, ptr %.171.9.i, align 8
  %.170.10.i = add i64 %arg.s, 376
  %.171.10.i = inttoptr i64 %.170.10.i to ptr
  store i64 -1, ptr %.171.10.i, align 8
  %.170.11.i = add i64 %arg.s, 392
  %.171.11.i = inttoptr i64 %.170.11.i to ptr
  store i64 -1, ptr %.171.11.i, align 8
  %.170.12.i = add i64 %arg.s, 408
  %.171.12.i = inttoptr i64 %.170.12.i to ptr
  store i64 -1, ptr %.171.12.i, align 8
  %.170.13.i = add i64 %arg.s, 424
  %.171.13.i = inttoptr i64 %.170.13.i to ptr
  store i64 -1, ptr %.171.13.i, align 8
  br label %B464

B464:
  %i.5.0 = phi i64 [ %i.6.1, %B744 ], [ %arg.i, %B464.preheader ]
  %.15.i = icmp slt i64 %i.5.0, %arg.hi
  br i1 %.15.i, label %B16.i.preheader, label %B464.endif

B16.i.preheader:
  br label %B16.i

B16.i:
  %i.2.0.i = phi i64 [ %.58.i, %B110.i ], [ %i.5.0, %B16.i.preheader ]
  %.23.i9 = inttoptr i64 %i.2.0.i to ptr
  %.24.i = load i8, ptr %.23.i9, align 1
  %0 = zext i8 %.24.i to i32
  %.30.i = icmp ugt i8 %.24.i, 32
  br i1 %.30.i, label %B464.endif, label %B58.i

B58.i:
  switch i32 %0, label %B464.endif [
    i32 32, label %B110.i
    i32 10, label %B110.i
    i32 13, label %B110.i
    i32 9, label %B110.i
  ]

B110.i:
  %.58.i = add i64 %i.2.0.i, 1
  %exitcond.not.i = icmp eq i64 %arg.hi, %.58.i
  br i1 %exitcond.not.i, label %B756, label %B16.i

B508:
  %.162 = inttoptr i64 %storemerge.i to ptr
  %.163 = load i8, ptr %.162, align 1
  %.172 = add nsw i64 %storemerge.i, 1
  %1 = zext i8 %.163 to i32
  switch i32 %1, label %B756 [
    i32 125, label %B556
    i32 34, label %B78.i
  ]

common.ret:
  %common.ret.op = phi i32 [ 0, %B556 ], [ 0, %B756 ], [ %.266, %B654.if.if ]
  ret i32 %common.ret.op

B556:
  store i64 %.172, ptr %retptr, align 8
  br label %common.ret

B78.i:
  %.2160.i.i = icmp slt i64 %.172, %arg.hi
  br i1 %.2160.i.i, label %B16.i.i.preheader, label %B756

B16.i.i.preheader:
  br label %B16.i.i

B16.i.i:
  %i.6.1.i.i = phi i64 [ %.172, %B16.i.i.preheader ], [ %i.7.2.i.i, %B320.i.i ], [ %.47.i.i, %B58.i.i ]
  %.29.i.i = inttoptr i64 %i.6.1.i.i to ptr
  %.30.i.i = load <32 x i8>, ptr %.29.i.i, align 1
  %.31.i.i = icmp eq <32 x i8> %.30.i.i, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.32.i.i = icmp eq <32 x i8> %.30.i.i, <i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92>
  %.33.i.i = or <32 x i1> %.31.i.i, %.32.i.i
  %.34.i.i = bitcast <32 x i1> %.33.i.i to i32
  %.42.i.i = icmp eq i32 %.34.i.i, 0
  br i1 %.42.i.i, label %B58.i.i, label %B70.i.i

B58.i.i:
  %.47.i.i = add nsw i64 %i.6.1.i.i, 32
  %.21.i.i = icmp slt i64 %.47.i.i, %arg.hi
  br i1 %.21.i.i, label %B16.i.i, label %B756

B70.i.i:
  %2 = tail call i32 @llvm.cttz.i32(i32 %.34.i.i, i1 true)
  %.54.i.i = zext i32 %2 to i64
  %.58.i.i = add nsw i64 %i.6.1.i.i, %.54.i.i
  %.66.not.i.i = icmp slt i64 %.58.i.i, %arg.hi
  br i1 %.66.not.i.i, label %B132.i.i, label %B756

B132.i.i:
  %.77.i.i = inttoptr i64 %.58.i.i to ptr
  %.78.i.i = load i8, ptr %.77.i.i, align 1
  %.80.i.i = icmp eq i8 %.78.i.i, 34
  br i1 %.80.i.i, label %B566.endif, label %B184.i.i

B184.i.i:
  %.92.i.i = add nsw i64 %.58.i.i, 1
  %.94.not.i.i = icmp slt i64 %.92.i.i, %arg.hi
  br i1 %.94.not.i.i, label %B216.i.i, label %B756

B216.i.i:
  %.11.i.i.i = inttoptr i64 %.92.i.i to ptr
  %.12.i.i.i = load i8, ptr %.11.i.i.i, align 1
  %3 = zext i8 %.12.i.i.i to i32
  switch i32 %3, label %B266.i.i [
    i32 34, label %B254.i.i
    i32 92, label %B254.i.i
    i32 47, label %B254.i.i
    i32 98, label %B254.i.i
    i32 102, label %B254.i.i
    i32 110, label %B254.i.i
    i32 114, label %B254.i.i
    i32 116, label %B254.i.i
    i32 117, label %B186.i.i.i
  ]

B186.i.i.i:
  %.56.i.i.i = add i64 %.58.i.i, 5
  %.58.not.i.i.i = icmp slt i64 %.56.i.i.i, %arg.hi
  br i1 %.58.not.i.i.i, label %B208.endif.endif.i.i.i, label %B266.i.i

B316.i.i.i:
  %4 = or i8 %.195.i.i.i, 32
  %5 = add i8 %4, -97
  %or.cond.i.i.i = icmp ult i8 %5, 6
  br i1 %or.cond.i.i.i, label %B388.i.i.i, label %B266.i.i

B388.i.i.i:
  %.1628488.1.i.i.i = add i64 %.58.i.i, 3
  %.194.1.i.i.i = inttoptr i64 %.1628488.1.i.i.i to ptr
  %.195.1.i.i.i = load i8, ptr %.194.1.i.i.i, align 1
  %6 = add i8 %.195.1.i.i.i, -48
  %spec.select.i.i.i.i = icmp ult i8 %6, 10
  br i1 %spec.select.i.i.i.i, label %B388.1.i.i.i, label %B316.1.i.i.i

B316.1.i.i.i:
  %7 = or i8 %.195.1.i.i.i, 32
  %8 = add i8 %7, -97
  %or.cond.1.i.i.i = icmp ult i8 %8, 6
  br i1 %or.cond.1.i.i.i, label %B388.1.i.i.i, label %B266.i.i

B388.1.i.i.i:
  %.1628488.2.i.i.i = add i64 %.58.i.i, 4
  %.194.2.i.i.i = inttoptr i64 %.1628488.2.i.i.i to ptr
  %.195.2.i.i.i = load i8, ptr %.194.2.i.i.i, align 1
  %9 = add i8 %.195.2.i.i.i, -48
  %spec.select.i1.i.i.i = icmp ult i8 %9, 10
  br i1 %spec.select.i1.i.i.i, label %B388.2.i.i.i, label %B316.2.i.i.i

B316.2.i.i.i:
  %10 = or i8 %.195.2.i.i.i, 32
  %11 = add i8 %10, -97
  %or.cond.2.i.i.i = icmp ult i8 %11, 6
  br i1 %or.cond.2.i.i.i, label %B388.2.i.i.i, label %B266.i.i

B388.2.i.i.i:
  %.194.3.i.i.i = inttoptr i64 %.56.i.i.i to ptr
  %.195.3.i.i.i = load i8, ptr %.194.3.i.i.i, align 1
  %12 = add i8 %.195.3.i.i.i, -58
  %spec.select.i3.i.i.i = icmp ult i8 %12, -10
  br i1 %spec.select.i3.i.i.i, label %B316.3.i.i.i, label %B254.i.i

B316.3.i.i.i:
  %13 = or i8 %.195.3.i.i.i, 32
  %14 = add i8 %13, -97
  %or.cond.3.i.i.i = icmp ult i8 %14, 6
  br i1 %or.cond.3.i.i.i, label %B254.i.i, label %B266.i.i

B208.endif.endif.i.i.i:
  %.1628488.i.i.i = add nsw i64 %.58.i.i, 2
  %.194.i.i.i = inttoptr i64 %.1628488.i.i.i to ptr
  %.195.i.i.i = load i8, ptr %.194.i.i.i, align 1
  %15 = add i8 %.195.i.i.i, -48
  %spec.select.i5.i.i.i = icmp ult i8 %15, 10
  br i1 %spec.select.i5.i.i.i, label %B388.i.i.i, label %B316.i.i.i

B254.i.i:
  %.145.i.i = add nsw i64 %.58.i.i, 2
  br label %B320.i.i

B266.i.i:
  %16 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %16, align 8
  br label %B320.i.i

B320.i.i:
  %i.7.2.i.i = phi i64 [ %.145.i.i, %B254.i.i ], [ %.92.i.i, %B266.i.i ]
  %.169.i.i = icmp slt i64 %i.7.2.i.i, %arg.hi
  br i1 %.169.i.i, label %B16.i.i, label %B756

B654:
  %.255 = sub nsw i64 %.58.i.i, %.172
  store i64 0, ptr %.262, align 8
  %.266 = call i32 @event_value.4(ptr nonnull %.262, ptr nonnull %excinfo.7, i64 %.172, i64 %.255, i64 %storemerge.i2.i, i64 %arg.hi, i64 %arg.s)
  %.276 = load i64, ptr %.262, align 8
  %cond = icmp eq i32 %.266, 0
  br i1 %cond, label %B698, label %B654.if.if

B698:
  %.304 = icmp sgt i64 %.276, 0
  br i1 %.304, label %B710, label %B744

B710:
  %.15.i.i17 = icmp slt i64 %.276, %arg.hi
  br i1 %.15.i.i17, label %B16.i.i32.preheader, label %B0.endif.i

B16.i.i32.preheader:
  br label %B16.i.i32

B16.i.i32:
  %i.2.0.i.i33 = phi i64 [ %.58.i.i39, %B110.i.i38 ], [ %.276, %B16.i.i32.preheader ]
  %.23.i.i34 = inttoptr i64 %i.2.0.i.i33 to ptr
  %.24.i.i35 = load i8, ptr %.23.i.i34, align 1
  %17 = zext i8 %.24.i.i35 to i32
  %.30.i.i36 = icmp ugt i8 %.24.i.i35, 32
  br i1 %.30.i.i36, label %B0.endif.i, label %B58.i.i37

B58.i.i37:
  switch i32 %17, label %B0.endif.i [
    i32 32, label %B110.i.i38
    i32 10, label %B110.i.i38
    i32 13, label %B110.i.i38
    i32 9, label %B110.i.i38
  ]

B110.i.i38:
  %.58.i.i39 = add i64 %i.2.0.i.i33, 1
  %exitcond.not.i.i40 = icmp eq i64 %arg.hi, %.58.i.i39
  br i1 %exitcond.not.i.i40, label %B756, label %B16.i.i32

B62.i:
  %.55.i = inttoptr i64 %storemerge.i.i18 to ptr
  %.56.i = load i8, ptr %.55.i, align 1
  %18 = zext i8 %.56.i to i32
  switch i32 %18, label %B756 [
    i32 125, label %B744
    i32 44, label %B176.i
  ]

B176.i:
  %.85.i = add nsw i64 %storemerge.i.i18, 1
  %.15.i1.i19 = icmp slt i64 %.85.i, %arg.hi
  br i1 %.15.i1.i19, label %B16.i4.i22.preheader, label %B176.endif.i

B16.i4.i22.preheader:
  br label %B16.i4.i22

B16.i4.i22:
  %i.2.0.i5.i23 = phi i64 [ %.58.i11.i29, %B110.i10.i28 ], [ %.85.i, %B16.i4.i22.preheader ]
  %.23.i6.i24 = inttoptr i64 %i.2.0.i5.i23 to ptr
  %.24.i7.i25 = load i8, ptr %.23.i6.i24, align 1
  %19 = zext i8 %.24.i7.i25 to i32
  %.30.i8.i26 = icmp ugt i8 %.24.i7.i25, 32
  br i1 %.30.i8.i26, label %B176.endif.i, label %B58.i9.i27

B58.i9.i27:
  switch i32 %19, label %B176.endif.i [
    i32 32, label %B110.i10.i28
    i32 10, label %B110.i10.i28
    i32 13, label %B110.i10.i28
    i32 9, label %B110.i10.i28
  ]

B110.i10.i28:
  %.58.i11.i29 = add i64 %i.2.0.i5.i23, 1
  %exitcond.not.i12.i30 = icmp eq i64 %arg.hi, %.58.i11.i29
  br i1 %exitcond.not.i12.i30, label %B756, label %B16.i4.i22

B226.i:
  %.121.i = inttoptr i64 %storemerge.i2.i20 to ptr
  %.122.i = load i8, ptr %.121.i, align 1
  %.124.i = icmp eq i8 %.122.i, 125
  br i1 %.124.i, label %B274.i, label %B744

B274.i:
  %20 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %20, align 8
  br label %B744

B0.endif.i:
  %storemerge.i.i18 = phi i64 [ %.276, %B710 ], [ %i.2.0.i.i33, %B16.i.i32 ], [ %i.2.0.i.i33, %B58.i.i37 ]
  %.44.not.i = icmp slt i64 %storemerge.i.i18, %arg.hi
  br i1 %.44.not.i, label %B62.i, label %B756

B176.endif.i:
  %storemerge.i2.i20 = phi i64 [ %.85.i, %B176.i ], [ %i.2.0.i5.i23, %B16.i4.i22 ], [ %i.2.0.i5.i23, %B58.i9.i27 ]
  %.118.i = icmp slt i64 %storemerge.i2.i20, %arg.hi
  br i1 %.118.i, label %B226.i, label %B756

B744:
  %i.6.1 = phi i64 [ %storemerge.i2.i, %B566.endif.endif ], [ %.276, %B698 ], [ %storemerge.i.i18, %B62.i ], [ %storemerge.i2.i20, %B274.i ], [ %storemerge.i2.i20, %B226.i ]
  %.342 = icmp slt i64 %i.6.1, 0
  br i1 %.342, label %B756, label %B464

B756:
  %i.6.156 = phi i64 [ -1, %B110.i10.i ], [ -1, %B110.i ], [ -1, %B110.i10.i28 ], [ -1, %B110.i.i38 ], [ -1, %B320.i.i ], [ -1, %B58.i.i ], [ -1, %B70.i.i ], [ -1, %B184.i.i ], [ -2, %B508 ], [ -1, %B78.i ], [ -1, %B132.endif.i ], [ %.58.i.i, %B566.endif ], [ -2, %B70.i ], [ -2, %B62.i ], [ -1, %B0.endif.i ], [ -1, %B464.endif ], [ -1, %B176.endif.i ], [ %i.6.1, %B744 ]
  store i64 %i.6.156, ptr %retptr, align 8
  br label %common.ret

B464.endif:
  %storemerge.i = phi i64 [ %i.5.0, %B464 ], [ %i.2.0.i, %B16.i ], [ %i.2.0.i, %B58.i ]
  %.159 = icmp slt i64 %storemerge.i, %arg.hi
  br i1 %.159, label %B508, label %B756

B566.endif:
  %.11.i = icmp slt i64 %.58.i.i, 0
  br i1 %.11.i, label %B756, label %B20.i

B20.i:
  %.22.i11 = add nuw nsw i64 %.58.i.i, 1
  %.15.i.i = icmp slt i64 %.22.i11, %arg.hi
  br i1 %.15.i.i, label %B16.i.i13.preheader, label %B20.endif.i

B16.i.i13.preheader:
  br label %B16.i.i13

B16.i.i13:
  %i.2.0.i.i = phi i64 [ %.58.i.i16, %B110.i.i ], [ %.22.i11, %B16.i.i13.preheader ]
  %.23.i.i = inttoptr i64 %i.2.0.i.i to ptr
  %.24.i.i = load i8, ptr %.23.i.i, align 1
  %21 = zext i8 %.24.i.i to i32
  %.30.i.i14 = icmp ugt i8 %.24.i.i, 32
  br i1 %.30.i.i14, label %B20.endif.i, label %B58.i.i15

B58.i.i15:
  switch i32 %21, label %B20.endif.i [
    i32 32, label %B110.i.i
    i32 10, label %B110.i.i
    i32 13, label %B110.i.i
    i32 9, label %B110.i.i
  ]

B110.i.i:
  %.58.i.i16 = add i64 %i.2.0.i.i, 1
  %exitcond.not.i.i = icmp eq i64 %arg.hi, %.58.i.i16
  br i1 %exitcond.not.i.i, label %B132.i, label %B16.i.i13

B70.i:
  %.60.i = inttoptr i64 %storemerge.i.i to ptr
  %.61.i = load i8, ptr %.60.i, align 1
  %.63.not.i = icmp eq i8 %.61.i, 58
  br i1 %.63.not.i, label %B132.i, label %B756

B132.i:
  %storemerge.i19.i = phi i64 [ %storemerge.i.i, %B70.i ], [ %storemerge.i.i, %B20.endif.i ], [ %arg.hi, %B110.i.i ]
  %.73.i = add nsw i64 %storemerge.i19.i, 1
  %.15.i1.i = icmp slt i64 %.73.i, %arg.hi
  br i1 %.15.i1.i, label %B16.i4.i.preheader, label %B132.endif.i

B16.i4.i.preheader:
  br label %B16.i4.i

B16.i4.i:
  %i.2.0.i5.i = phi i64 [ %.58.i11.i, %B110.i10.i ], [ %.73.i, %B16.i4.i.preheader ]
  %.23.i6.i = inttoptr i64 %i.2.0.i5.i to ptr
  %.24.i7.i = load i8, ptr %.23.i6.i, align 1
  %22 = zext i8 %.24.i7.i to i32
  %.30.i8.i = icmp ugt i8 %.24.i7.i, 32
  br i1 %.30.i8.i, label %B132.endif.i, label %B58.i9.i

B58.i9.i:
  switch i32 %22, label %B132.endif.i [
    i32 32, label %B110.i10.i
    i32 10, label %B110.i10.i
    i32 13, label %B110.i10.i
    i32 9, label %B110.i10.i
  ]

B110.i10.i:
  %.58.i11.i = add i64 %i.2.0.i5.i, 1
  %exitcond.not.i12.i = icmp eq i64 %arg.hi, %.58.i11.i
  br i1 %exitcond.not.i12.i, label %B756, label %B16.i4.i

B20.endif.i:
  %storemerge.i.i = phi i64 [ %.22.i11, %B20.i ], [ %i.2.0.i.i, %B16.i.i13 ], [ %i.2.0.i.i, %B58.i.i15 ]
  %.57.i = icmp slt i64 %storemerge.i.i, %arg.hi
  br i1 %.57.i, label %B70.i, label %B132.i

B132.endif.i:
  %storemerge.i2.i = phi i64 [ %.73.i, %B132.i ], [ %i.2.0.i5.i, %B16.i4.i ], [ %i.2.0.i5.i, %B58.i9.i ]
  %.106.i = icmp slt i64 %storemerge.i2.i, %arg.hi
  br i1 %.106.i, label %B566.endif.endif, label %B756

B566.endif.endif:
  %.250 = icmp sgt i64 %storemerge.i2.i, 0
  br i1 %.250, label %B654, label %B744

B654.if.if:
  %.274 = icmp sgt i32 %.266, 0
  %.267 = load ptr, ptr %excinfo.7, align 8
  %.275 = select i1 %.274, ptr %.267, ptr undef
  store ptr %.275, ptr %excinfo, align 8
  br label %common.ret
}

declare i32 @llvm.cttz.i32(i32, i1)

define internal i32 @event_value.4(ptr %retptr, ptr %excinfo, i64 %arg.a, i64 %arg.n, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B0:
  %.17.i3 = alloca i64, align 8
  %excinfo.1.i4 = alloca ptr, align 8
  %.30 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  store ptr null, ptr %excinfo.1, align 8
  %.107 = alloca i64, align 8
  %excinfo.3 = alloca ptr, align 8
  store ptr null, ptr %excinfo.3, align 8
  %.148 = alloca i64, align 8
  %excinfo.4 = alloca ptr, align 8
  store ptr null, ptr %excinfo.4, align 8
  %.271 = alloca i64, align 8
  %excinfo.7 = alloca ptr, align 8
  store ptr null, ptr %excinfo.7, align 8
  %.312 = alloca i64, align 8
  %excinfo.8 = alloca ptr, align 8
  store ptr null, ptr %excinfo.8, align 8
  %.388 = alloca i64, align 8
  store i64 0, ptr %.388, align 8
  %excinfo.10 = alloca ptr, align 8
  store ptr null, ptr %excinfo.10, align 8
  %.424 = alloca i64, align 8
  store i64 0, ptr %.424, align 8
  %excinfo.11 = alloca ptr, align 8
  store ptr null, ptr %excinfo.11, align 8
  %.466 = alloca i64, align 8
  %excinfo.12 = alloca ptr, align 8
  store ptr null, ptr %excinfo.12, align 8
  %.20 = icmp sgt i64 %arg.n, 4
  br i1 %.20, label %B16, label %B46.i

B16:
  store i64 0, ptr %.30, align 8
  %.34 = call i32 @skip_value.2(ptr nonnull %.30, ptr nonnull %excinfo.1, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %cond = icmp eq i32 %.34, 0
  br i1 %cond, label %B16.endif, label %B16.if.if

B46.i:
  %.23.i = icmp slt i64 %arg.n, 1
  br i1 %.23.i, label %B724, label %B50.endif

B104:
  store i64 0, ptr %.107, align 8
  %.111 = call i32 @read_time.5(ptr nonnull %.107, ptr nonnull %excinfo.3, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 14)
  %cond36 = icmp eq i32 %.111, 0
  br i1 %cond36, label %B104.endif, label %B104.if.if

B182:
  store i64 0, ptr %.148, align 8
  %.152 = call i32 @read_time.5(ptr nonnull %.148, ptr nonnull %excinfo.4, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 16)
  %cond37 = icmp eq i32 %.152, 0
  br i1 %cond37, label %B182.endif, label %B182.if.if

B260:
  store ptr null, ptr %excinfo.1.i4, align 8
  store i64 0, ptr %.17.i3, align 8
  %.21.i = call i32 @skip_value.2(ptr nonnull %.17.i3, ptr nonnull %excinfo.1.i4, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.31.i = load i64, ptr %.17.i3, align 8
  %cond.i = icmp eq i32 %.21.i, 0
  br i1 %cond.i, label %B0.endif.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit

B120.i:
  %.59.i = add nsw i64 %arg.i, 1
  %sunkaddr.i = inttoptr i64 %arg.s to ptr
  %sunkaddr2.i = getelementptr i8, ptr %sunkaddr.i, i64 32
  store i64 %.59.i, ptr %sunkaddr2.i, align 8
  %.73.i = add nsw i64 %.31.i, -1
  %sunkaddr6.i = getelementptr i8, ptr %sunkaddr.i, i64 40
  store i64 %.73.i, ptr %sunkaddr6.i, align 8
  br label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

B0.endif.i:
  %.49.i = add i64 %arg.s, 32
  %.50.i = inttoptr i64 %.49.i to ptr
  store i64 -1, ptr %.50.i, align 8
  %.53.i = inttoptr i64 %arg.i to ptr
  %.54.i = load i8, ptr %.53.i, align 1
  %.56.i = icmp eq i8 %.54.i, 34
  br i1 %.56.i, label %B120.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread:
  store i64 %.31.i, ptr %retptr, align 8
  br label %common.ret

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit:
  %.22.i = load ptr, ptr %excinfo.1.i4, align 8
  %.201 = icmp sgt i32 %.21.i, 0
  %.202 = select i1 %.201, ptr %.22.i, ptr undef
  store ptr %.202, ptr %excinfo, align 8
  br label %common.ret

B338:
  store ptr null, ptr %excinfo.1.i4, align 8
  store i64 0, ptr %.17.i3, align 8
  %.21.i5 = call i32 @skip_value.2(ptr nonnull %.17.i3, ptr nonnull %excinfo.1.i4, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.31.i6 = load i64, ptr %.17.i3, align 8
  %cond.i7 = icmp eq i32 %.21.i5, 0
  br i1 %cond.i7, label %B0.endif.i12, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25

B120.i19:
  %.59.i20 = add nsw i64 %arg.i, 1
  %sunkaddr.i21 = inttoptr i64 %arg.s to ptr
  %sunkaddr2.i22 = getelementptr i8, ptr %sunkaddr.i21, i64 16
  store i64 %.59.i20, ptr %sunkaddr2.i22, align 8
  %.73.i23 = add nsw i64 %.31.i6, -1
  %sunkaddr6.i24 = getelementptr i8, ptr %sunkaddr.i21, i64 24
  store i64 %.73.i23, ptr %sunkaddr6.i24, align 8
  br label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25.thread

B0.endif.i12:
  %.49.i13 = add i64 %arg.s, 16
  %.50.i14 = inttoptr i64 %.49.i13 to ptr
  store i64 -1, ptr %.50.i14, align 8
  %.53.i15 = inttoptr i64 %arg.i to ptr
  %.54.i16 = load i8, ptr %.53.i15, align 1
  %.56.i17 = icmp eq i8 %.54.i16, 34
  br i1 %.56.i17, label %B120.i19, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25.thread

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25.thread:
  store i64 %.31.i6, ptr %retptr, align 8
  br label %common.ret

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25:
  %.22.i10 = load ptr, ptr %excinfo.1.i4, align 8
  %.242 = icmp sgt i32 %.21.i5, 0
  %.243 = select i1 %.242, ptr %.22.i10, ptr undef
  store ptr %.243, ptr %excinfo, align 8
  br label %common.ret

B416:
  store i64 0, ptr %.271, align 8
  %.275 = call i32 @identity.6(ptr nonnull %.271, ptr nonnull %excinfo.7, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 6)
  %cond40 = icmp eq i32 %.275, 0
  br i1 %cond40, label %B416.endif, label %B416.if.if

B494:
  store i64 0, ptr %.312, align 8
  %.316 = call i32 @identity.6(ptr nonnull %.312, ptr nonnull %excinfo.8, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 10)
  %cond41 = icmp eq i32 %.316, 0
  br i1 %cond41, label %B494.endif, label %B494.if.if

B650:
  %.383 = add nsw i64 %arg.i, 1
  store i64 0, ptr %.388, align 8
  %.392 = call i32 @arguments.7(ptr nonnull %.388, ptr nonnull %excinfo.10, i64 %.383, i64 %arg.hi, i64 %arg.s)
  %cond42 = icmp eq i32 %.392, 0
  br i1 %cond42, label %B722, label %B650.if.if

B690:
  store i64 0, ptr %.424, align 8
  %.428 = call i32 @skip_value.2(ptr nonnull %.424, ptr nonnull %excinfo.11, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %cond43 = icmp eq i32 %.428, 0
  br i1 %cond43, label %B722, label %B690.if.if

common.ret:
  %common.ret.op = phi i32 [ 0, %B722 ], [ 0, %B1056 ], [ 0, %B16.endif ], [ %.34, %B16.if.if ], [ %.470, %B724.if.if ], [ 0, %B104.endif ], [ %.111, %B104.if.if ], [ 0, %B182.endif ], [ %.152, %B182.if.if ], [ 0, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread ], [ %.21.i, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit ], [ 0, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25.thread ], [ %.21.i5, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit25 ], [ 0, %B416.endif ], [ %.275, %B416.if.if ], [ 0, %B494.endif ], [ %.316, %B494.if.if ], [ %.428, %B690.if.if ], [ %.392, %B650.if.if ]
  ret i32 %common.ret.op

B722:
  %"$phi722.0.2.0.in" = phi ptr [ %.388, %B650 ], [ %.424, %B690 ]
  %"$phi722.0.2.0" = load i64, ptr %"$phi722.0.2.0.in", align 8
  store i64 %"$phi722.0.2.0", ptr %retptr, align 8
  br label %common.ret

B724:
  %.42.sink.i2 = phi i64 [ %.42.i, %B50.endif ], [ 0, %B46.i ]
  store i64 0, ptr %.466, align 8
  %.470 = call i32 @skip_value.2(ptr nonnull %.466, ptr nonnull %excinfo.12, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.480 = load i64, ptr %.466, align 8
  %cond35 = icmp eq i32 %.470, 0
  br i1 %cond35, label %B724.endif, label %B724.if.if

B792:
  %.504 = inttoptr i64 %arg.i to ptr
  %.505 = load i8, ptr %.504, align 1
  %0 = zext i8 %.505 to i32
  switch i32 %0, label %B1038 [
    i32 34, label %B840
    i32 110, label %B1056.sink.split
  ]

B840:
  %.510 = add nsw i64 %arg.i, 3
  %.512 = icmp eq i64 %.480, %.510
  br i1 %.512, label %B894, label %B1056.sink.split

B894:
  %.527 = add nsw i64 %arg.i, 1
  %.530 = inttoptr i64 %.527 to ptr
  %.531 = load i8, ptr %.530, align 1
  %.532 = zext i8 %.531 to i64
  br label %B1056.sink.split

B1038:
  br label %B1056.sink.split

B1056.sink.split:
  %"$phi1040.4.2.0.sink" = phi i64 [ 1, %B840 ], [ %.532, %B894 ], [ 1, %B1038 ], [ 0, %B792 ]
  %.589 = add i64 %arg.s, 8
  %.590 = inttoptr i64 %.589 to ptr
  store i64 %"$phi1040.4.2.0.sink", ptr %.590, align 8
  br label %B1056

B1056:
  store i64 %.480, ptr %retptr, align 8
  br label %common.ret

B16.endif:
  %.44 = load i64, ptr %.30, align 8
  store i64 %.44, ptr %retptr, align 8
  br label %common.ret

B16.if.if:
  %.42 = icmp sgt i32 %.34, 0
  %.35 = load ptr, ptr %excinfo.1, align 8
  %.43 = select i1 %.42, ptr %.35, ptr undef
  store ptr %.43, ptr %excinfo, align 8
  br label %common.ret

B50.endif:
  %.32.i = inttoptr i64 %arg.a to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.37.i = shl nuw nsw i64 %arg.n, 3
  %.40.i = sub nuw nsw i64 64, %.37.i
  %.41.i = lshr i64 -1, %.40.i
  %.42.i = and i64 %.33.i, %.41.i
  switch i64 %.42.i, label %B724 [
    i64 29556, label %B104
    i64 7501156, label %B182
    i64 1701667182, label %B260
    i64 7627107, label %B338
    i64 6580592, label %B416
    i64 6580596, label %B494
    i64 1936159329, label %B572.endif
  ]

B104.endif:
  %.121 = load i64, ptr %.107, align 8
  store i64 %.121, ptr %retptr, align 8
  br label %common.ret

B104.if.if:
  %.119 = icmp sgt i32 %.111, 0
  %.112 = load ptr, ptr %excinfo.3, align 8
  %.120 = select i1 %.119, ptr %.112, ptr undef
  store ptr %.120, ptr %excinfo, align 8
  br label %common.ret

B182.endif:
  %.162 = load i64, ptr %.148, align 8
  store i64 %.162, ptr %retptr, align 8
  br label %common.ret

B182.if.if:
  %.160 = icmp sgt i32 %.152, 0
  %.153 = load ptr, ptr %excinfo.4, align 8
  %.161 = select i1 %.160, ptr %.153, ptr undef
  store ptr %.161, ptr %excinfo, align 8
  br label %common.ret

B416.endif:
  %.285 = load i64, ptr %.271, align 8
  store i64 %.285, ptr %retptr, align 8
  br label %common.ret

B416.if.if:
  %.283 = icmp sgt i32 %.275, 0
  %.276 = load ptr, ptr %excinfo.7, align 8
  %.284 = select i1 %.283, ptr %.276, ptr undef
  store ptr %.284, ptr %excinfo, align 8
  br label %common.ret

B494.endif:
  %.326 = load i64, ptr %.312, align 8
  store i64 %.326, ptr %retptr, align 8
  br label %common.ret

B494.if.if:
  %.324 = icmp sgt i32 %.316, 0
  %.317 = load ptr, ptr %excinfo.8, align 8
  %.325 = select i1 %.324, ptr %.317, ptr undef
  store ptr %.325, ptr %excinfo, align 8
  br label %common.ret

B572.endif:
  %const = bitcast i64 -9223372036854775808 to i64
  %.9.i = add i64 %arg.s, 144
  %.10.i = inttoptr i64 %.9.i to ptr
  store i64 %const, ptr %.10.i, align 8
  %.14.i = add i64 %arg.s, 152
  %.15.i = inttoptr i64 %.14.i to ptr
  store i64 %const, ptr %.15.i, align 8
  %.19.i = add i64 %arg.s, 160
  %.20.i = inttoptr i64 %.19.i to ptr
  store i64 %const, ptr %.20.i, align 8
  %.24.i = add i64 %arg.s, 168
  %.25.i = inttoptr i64 %.24.i to ptr
  store i64 0, ptr %.25.i, align 8
  %.29.i26 = add i64 %arg.s, 176
  %.30.i27 = inttoptr i64 %.29.i26 to ptr
  store i64 %const, ptr %.30.i27, align 8
  %.34.i = add i64 %arg.s, 184
  %.35.i = inttoptr i64 %.34.i to ptr
  store i64 %const, ptr %.35.i, align 8
  %.39.i = add i64 %arg.s, 192
  %.40.i28 = inttoptr i64 %.39.i to ptr
  store i64 %const, ptr %.40.i28, align 8
  %.44.i = add i64 %arg.s, 200
  %.45.i = inttoptr i64 %.44.i to ptr
  store i64 -1, ptr %.45.i, align 8
  %.169.i = add i64 %arg.s, 216
  %.171.i = inttoptr i64 %.169.i to ptr
  store i64 -1, ptr %.171.i, align 8
  %.170.1.i = add i64 %arg.s, 232
  %.171.1.i = inttoptr i64 %.170.1.i to ptr
  store i64 -1, ptr %.171.1.i, align 8
  %.170.2.i = add i64 %arg.s, 248
  %.171.2.i = inttoptr i64 %.170.2.i to ptr
  store i64 -1, ptr %.171.2.i, align 8
  %.170.3.i = add i64 %arg.s, 264
  %.171.3.i = inttoptr i64 %.170.3.i to ptr
  store i64 -1, ptr %.171.3.i, align 8
  %.170.4.i = add i64 %arg.s, 280
  %.171.4.i = inttoptr i64 %.170.4.i to ptr
  store i64 -1, ptr %.171.4.i, align 8
  %.170.5.i = add i64 %arg.s, 296
  %.171.5.i = inttoptr i64 %.170.5.i to ptr
  store i64 -1, ptr %.171.5.i, align 8
  %.170.6.i = add i64 %arg.s, 312
  %.171.6.i = inttoptr i64 %.170.6.i to ptr
  store i64 -1, ptr %.171.6.i, align 8
  %.170.7.i = add i64 %arg.s, 328
  %.171.7.i = inttoptr i64 %.170.7.i to ptr
  store i64 -1, ptr %.171.7.i, align 8
  %.170.8.i = add i64 %arg.s, 344
  %.171.8.i = inttoptr i64 %.170.8.i to ptr
  store i64 -1, ptr %.171.8.i, align 8
  %.170.9.i = add i64 %arg.s, 360
  %.171.9.i = inttoptr i64 %.170.9.i to ptr
  store i64 -1, ptr %.171.9.i, align 8
  %.170.10.i = add i64 %arg.s, 376
  %.171.10.i = inttoptr i64 %.170.10.i to ptr
  store i64 -1, ptr %.171.10.i, align 8
  %.170.11.i = add i64 %arg.s, 392
  %.171.11.i = inttoptr i64 %.170.11.i to ptr
  store i64 -1, ptr %.171.11.i, align 8
  %.170.12.i = add i64 %arg.s, 408
  %.171.12.i = inttoptr i64 %.170.12.i to ptr
  store i64 -1, ptr %.171.12.i, align 8
  %.170.13.i = add i64 %arg.s, 424
  %.171.13.i = inttoptr i64 %.170.13.i to ptr
  store i64 -1, ptr %.171.13.i, align 8
  %.376 = inttoptr i64 %arg.i to ptr
  %.377 = load i8, ptr %.376, align 1
  %.379 = icmp eq i8 %.377, 123
  br i1 %.379, label %B650, label %B690

B650.if.if:
  %.400 = icmp sgt i32 %.392, 0
  %.393 = load ptr, ptr %excinfo.10, align 8
  %.401 = select i1 %.400, ptr %.393, ptr undef
  store ptr %.401, ptr %excinfo, align 8
  br label %common.ret

B690.if.if:
  %.436 = icmp sgt i32 %.428, 0
  %.429 = load ptr, ptr %excinfo.11, align 8
  %.437 = select i1 %.436, ptr %.429, ptr undef
  store ptr %.437, ptr %excinfo, align 8
  br label %common.ret

B724.endif:
  %.496 = icmp eq i64 %.42.sink.i2, 26736
  %.501 = icmp sgt i64 %.480, 0
  %or.cond = select i1 %.496, i1 %.501, i1 false
  br i1 %or.cond, label %B792, label %B1056

B724.if.if:
  %.478 = icmp sgt i32 %.470, 0
  %.471 = load ptr, ptr %excinfo.12, align 8
  %.479 = select i1 %.478, ptr %.471, ptr undef
  store ptr %.479, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @skip_value.2(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B0:
  %.102 = alloca i64, align 8
  %excinfo.2 = alloca ptr, align 8
  %.235 = alloca i64, align 8
  %excinfo.5 = alloca ptr, align 8
  %.14 = inttoptr i64 %arg.i to ptr
  %.15 = load i8, ptr %.14, align 1
  %0 = zext i8 %.15 to i32
  switch i32 %0, label %B206 [
    i32 34, label %B56
    i32 91, label %B166
    i32 123, label %B166
  ]

B56:
  %.27 = add nsw i64 %arg.i, 1
  %.2160.i = icmp slt i64 %.27, %arg.hi
  br i1 %.2160.i, label %B16.i.preheader, label %B56.endif

B16.i.preheader:
  br label %B16.i

B16.i:
  %i.6.1.i = phi i64 [ %.27, %B16.i.preheader ], [ %i.7.2.i, %B320.i ], [ %.47.i, %B58.i ]
  %.29.i = inttoptr i64 %i.6.1.i to ptr
  %.30.i = load <32 x i8>, ptr %.29.i, align 1
  %.31.i = icmp eq <32 x i8> %.30.i, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.32.i = icmp eq <32 x i8> %.30.i, <i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92>
  %.33.i = or <32 x i1> %.31.i, %.32.i
  %.34.i = bitcast <32 x i1> %.33.i to i32
  %.42.i = icmp eq i32 %.34.i, 0
  br i1 %.42.i, label %B58.i, label %B70.i

B58.i:
  %.47.i = add nsw i64 %i.6.1.i, 32
  %.21.i = icmp slt i64 %.47.i, %arg.hi
  br i1 %.21.i, label %B16.i, label %B56.endif

B70.i:
  %1 = tail call i32 @llvm.cttz.i32(i32 %.34.i, i1 true)
  %.54.i = zext i32 %1 to i64
  %.58.i = add nsw i64 %i.6.1.i, %.54.i
  %.66.not.i = icmp slt i64 %.58.i, %arg.hi
  br i1 %.66.not.i, label %B132.i, label %B56.endif

B132.i:
  %.77.i = inttoptr i64 %.58.i to ptr
  %.78.i = load i8, ptr %.77.i, align 1
  %.80.i = icmp eq i8 %.78.i, 34
  br i1 %.80.i, label %B56.endif, label %B184.i

B184.i:
  %.92.i = add nsw i64 %.58.i, 1
  %.94.not.i = icmp slt i64 %.92.i, %arg.hi
  br i1 %.94.not.i, label %B216.i, label %B56.endif

B216.i:
  %.11.i.i = inttoptr i64 %.92.i to ptr
  %.12.i.i = load i8, ptr %.11.i.i, align 1
  %2 = zext i8 %.12.i.i to i32
  switch i32 %2, label %B266.i [
    i32 34, label %B254.i
    i32 92, label %B254.i
    i32 47, label %B254.i
    i32 98, label %B254.i
    i32 102, label %B254.i
    i32 110, label %B254.i
    i32 114, label %B254.i
    i32 116, label %B254.i
    i32 117, label %B186.i.i
  ]

B186.i.i:
  %.56.i.i = add i64 %.58.i, 5
  %.58.not.i.i = icmp slt i64 %.56.i.i, %arg.hi
  br i1 %.58.not.i.i, label %B208.endif.endif.i.i, label %B266.i

B316.i.i:
  %3 = or i8 %.195.i.i, 32
  %4 = add i8 %3, -97
  %or.cond.i.i = icmp ult i8 %4, 6
  br i1 %or.cond.i.i, label %B388.i.i, label %B266.i

B388.i.i:
  %.1628488.1.i.i = add i64 %.58.i, 3
  %.194.1.i.i = inttoptr i64 %.1628488.1.i.i to ptr
  %.195.1.i.i = load i8, ptr %.194.1.i.i, align 1
  %5 = add i8 %.195.1.i.i, -48
  %spec.select.i.i.i = icmp ult i8 %5, 10
  br i1 %spec.select.i.i.i, label %B388.1.i.i, label %B316.1.i.i

B316.1.i.i:
  %6 = or i8 %.195.1.i.i, 32
  %7 = add i8 %6, -97
  %or.cond.1.i.i = icmp ult i8 %7, 6
  br i1 %or.cond.1.i.i, label %B388.1.i.i, label %B266.i

B388.1.i.i:
  %.1628488.2.i.i = add i64 %.58.i, 4
  %.194.2.i.i = inttoptr i64 %.1628488.2.i.i to ptr
  %.195.2.i.i = load i8, ptr %.194.2.i.i, align 1
  %8 = add i8 %.195.2.i.i, -48
  %spec.select.i1.i.i = icmp ult i8 %8, 10
  br i1 %spec.select.i1.i.i, label %B388.2.i.i, label %B316.2.i.i

B316.2.i.i:
  %9 = or i8 %.195.2.i.i, 32
  %10 = add i8 %9, -97
  %or.cond.2.i.i = icmp ult i8 %10, 6
  br i1 %or.cond.2.i.i, label %B388.2.i.i, label %B266.i

B388.2.i.i:
  %.194.3.i.i = inttoptr i64 %.56.i.i to ptr
  %.195.3.i.i = load i8, ptr %.194.3.i.i, align 1
  %11 = add i8 %.195.3.i.i, -58
  %spec.select.i3.i.i = icmp ult i8 %11, -10
  br i1 %spec.select.i3.i.i, label %B316.3.i.i, label %B254.i

B316.3.i.i:
  %12 = or i8 %.195.3.i.i, 32
  %13 = add i8 %12, -97
  %or.cond.3.i.i = icmp ult i8 %13, 6
  br i1 %or.cond.3.i.i, label %B254.i, label %B266.i

B208.endif.endif.i.i:
  %.1628488.i.i = add nsw i64 %.58.i, 2
  %.194.i.i = inttoptr i64 %.1628488.i.i to ptr
  %.195.i.i = load i8, ptr %.194.i.i, align 1
  %14 = add i8 %.195.i.i, -48
  %spec.select.i5.i.i = icmp ult i8 %14, 10
  br i1 %spec.select.i5.i.i, label %B388.i.i, label %B316.i.i

B254.i:
  %.145.i = add nsw i64 %.58.i, 2
  br label %B320.i

B266.i:
  %15 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %15, align 8
  br label %B320.i

B320.i:
  %i.7.2.i = phi i64 [ %.145.i, %B254.i ], [ %.92.i, %B266.i ]
  %.169.i = icmp slt i64 %i.7.2.i, %arg.hi
  br i1 %.169.i, label %B16.i, label %B56.endif

common.ret:
  %common.ret.op = phi i32 [ 0, %B56.endif ], [ %.240, %B330.if.if ], [ 0, %B166.endif ], [ %.106, %B166.if.if ], [ 0, %B330.endif ], [ 0, %B298.endif ]
  ret i32 %common.ret.op

B166:
  %.97 = add nsw i64 %arg.i, 1
  store i64 0, ptr %.102, align 8
  %.106 = call i32 @skip_nested.8(ptr nonnull %.102, ptr nonnull %excinfo.2, i64 %.97, i64 %arg.hi, i64 %arg.s)
  %cond4 = icmp eq i32 %.106, 0
  br i1 %cond4, label %B166.endif, label %B166.if.if

B206:
  %.137 = icmp eq i8 %.15, 45
  %.146 = zext i1 %.137 to i64
  %spec.select = add nsw i64 %arg.i, %.146
  %.156 = inttoptr i64 %spec.select to ptr
  %.157 = load i8, ptr %.156, align 1
  %16 = add i8 %.157, -58
  %spec.select.i = icmp ult i8 %16, -10
  br i1 %spec.select.i, label %B330, label %B298

B298:
  %.12.i = icmp slt i64 %spec.select, %arg.hi
  br i1 %.12.i, label %B16.i2.preheader, label %B298.endif

B16.i2.preheader:
  br label %B16.i2

B16.i2:
  %i.2.0.i = phi i64 [ %.87.i, %B184.i3 ], [ %spec.select, %B16.i2.preheader ]
  %.18.i = inttoptr i64 %i.2.0.i to ptr
  %.19.i = load i8, ptr %.18.i, align 1
  %17 = zext i8 %.19.i to i32
  %18 = add i8 %.19.i, -58
  %spec.select.i.i = icmp ult i8 %18, -10
  br i1 %spec.select.i.i, label %B76.i, label %B184.i3

B76.i:
  switch i32 %17, label %B142.i [
    i32 46, label %B184.i3
    i32 45, label %B184.i3
    i32 43, label %B184.i3
  ]

B142.i:
  %19 = trunc i32 %17 to i8
  %20 = and i8 %19, -33
  %.75.i = icmp eq i8 %20, 69
  br i1 %.75.i, label %B184.i3, label %B298.endif

B184.i3:
  %.87.i = add i64 %i.2.0.i, 1
  %exitcond.not.i = icmp eq i64 %arg.hi, %.87.i
  br i1 %exitcond.not.i, label %B298.endif, label %B16.i2

B330:
  %21 = icmp eq i8 %.15, 45
  store i64 0, ptr %.235, align 8
  %.239 = zext i1 %21 to i8
  %.240 = call i32 @skip_bare.9(ptr nonnull %.235, ptr nonnull %excinfo.5, i64 %spec.select, i64 %arg.hi, i64 %arg.s, i8 %.239)
  %cond = icmp eq i32 %.240, 0
  br i1 %cond, label %B330.endif, label %B330.if.if

B56.endif:
  %.sink.i = phi i64 [ -1, %B56 ], [ -1, %B184.i ], [ -1, %B320.i ], [ -1, %B70.i ], [ %.58.i, %B132.i ], [ -1, %B58.i ]
  %.66 = icmp sgt i64 %.sink.i, 0
  %.69 = zext i1 %.66 to i64
  %"$phi120.0.2.0" = add nuw nsw i64 %.sink.i, %.69
  store i64 %"$phi120.0.2.0", ptr %retptr, align 8
  br label %common.ret

B166.endif:
  %.116 = load i64, ptr %.102, align 8
  store i64 %.116, ptr %retptr, align 8
  br label %common.ret

B166.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B298.endif:
  %storemerge.i = phi i64 [ -1, %B298 ], [ -1, %B184.i3 ], [ %i.2.0.i, %B142.i ]
  store i64 %storemerge.i, ptr %retptr, align 8
  br label %common.ret

B330.endif:
  %.250 = load i64, ptr %.235, align 8
  store i64 %.250, ptr %retptr, align 8
  br label %common.ret

B330.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @read_time.5(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 %arg.slot) {
B0:
  %.116 = alloca i64, align 8
  %excinfo.2 = alloca ptr, align 8
  store ptr null, ptr %excinfo.2, align 8
  %.17 = shl i64 %arg.slot, 3
  %.19 = add i64 %arg.s, 8
  %.20 = add i64 %.19, %.17
  %.21 = inttoptr i64 %.20 to ptr
  store i64 0, ptr %.21, align 8
  %.24 = inttoptr i64 %arg.i to ptr
  %.25 = load i8, ptr %.24, align 1
  %.27 = icmp eq i8 %.25, 45
  %.34 = zext i1 %.27 to i64
  %spec.select = add nsw i64 %arg.i, %.34
  %.51 = inttoptr i64 %spec.select to ptr
  %.52 = load i8, ptr %.51, align 1
  %.243 = zext i8 %.52 to i64
  %0 = add i8 %.52, -58
  %spec.select.i = icmp ult i8 %0, -10
  br i1 %spec.select.i, label %B166, label %B344.preheader

B166:
  %.100 = icmp eq i8 %.25, 34
  br i1 %.100, label %B260, label %B228

B228:
  store i64 0, ptr %.116, align 8
  %.120 = call i32 @skip_value.2(ptr nonnull %.116, ptr nonnull %excinfo.2, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.130 = load i64, ptr %.116, align 8
  %cond = icmp eq i32 %.120, 0
  br i1 %cond, label %B260, label %B228.if.if

common.ret:
  %common.ret.op = phi i32 [ 0, %B260 ], [ 0, %B592 ], [ 0, %B1188 ], [ 0, %B1232 ], [ 0, %B1326 ], [ 0, %B1404 ], [ 0, %B1418 ], [ %.120, %B228.if.if ]
  ret i32 %common.ret.op

B260:
  %"$phi260.0.2.0" = phi i64 [ -2, %B166 ], [ %.130, %B228 ]
  store i64 %"$phi260.0.2.0", ptr %retptr, align 8
  br label %common.ret

B468:
  %.237.1 = mul nuw nsw i64 %.245, 10
  %.244.1 = add nsw i64 %.237.1, -48
  %.245.1 = add nsw i64 %.244.1, %.243.1
  %.253.1 = add nsw i64 %spec.select, 2
  %.264.1 = inttoptr i64 %.253.1 to ptr
  %.265.1 = load i8, ptr %.264.1, align 1
  %.243.2 = zext i8 %.265.1 to i64
  %1 = add i8 %.265.1, -48
  %spec.select.i3 = icmp ult i8 %1, 10
  br i1 %spec.select.i3, label %B468.1, label %B486

B468.1:
  %.237.2 = mul nuw nsw i64 %.245.1, 10
  %.244.2 = add nsw i64 %.237.2, -48
  %.245.2 = add nsw i64 %.244.2, %.243.2
  %.253.2 = add nsw i64 %spec.select, 3
  %.264.2 = inttoptr i64 %.253.2 to ptr
  %.265.2 = load i8, ptr %.264.2, align 1
  %.243.3 = zext i8 %.265.2 to i64
  %2 = add i8 %.265.2, -48
  %spec.select.i5 = icmp ult i8 %2, 10
  br i1 %spec.select.i5, label %B468.2, label %B486

B468.2:
  %.237.3 = mul nuw nsw i64 %.245.2, 10
  %.244.3 = add nsw i64 %.237.3, -48
  %.245.3 = add nsw i64 %.244.3, %.243.3
  %.253.3 = add nsw i64 %spec.select, 4
  %.264.3 = inttoptr i64 %.253.3 to ptr
  %.265.3 = load i8, ptr %.264.3, align 1
  %.243.4 = zext i8 %.265.3 to i64
  %3 = add i8 %.265.3, -48
  %spec.select.i7 = icmp ult i8 %3, 10
  br i1 %spec.select.i7, label %B468.3, label %B486

B468.3:
  %.237.4 = mul nuw nsw i64 %.245.3, 10
  %.244.4 = add nsw i64 %.237.4, -48
  %.245.4 = add nsw i64 %.244.4, %.243.4
  %.253.4 = add nsw i64 %spec.select, 5
  %.264.4 = inttoptr i64 %.253.4 to ptr
  %.265.4 = load i8, ptr %.264.4, align 1
  %.243.5 = zext i8 %.265.4 to i64
  %4 = add i8 %.265.4, -48
  %spec.select.i9 = icmp ult i8 %4, 10
  br i1 %spec.select.i9, label %B468.4, label %B486

B468.4:
  %.237.5 = mul nuw nsw i64 %.245.4, 10
  %.244.5 = add nsw i64 %.237.5, -48
  %.245.5 = add nsw i64 %.244.5, %.243.5
  %.253.5 = add nsw i64 %spec.select, 6
  %.264.5 = inttoptr i64 %.253.5 to ptr
  %.265.5 = load i8, ptr %.264.5, align 1
  %.243.6 = zext i8 %.265.5 to i64
  %5 = add i8 %.265.5, -48
  %spec.select.i11 = icmp ult i8 %5, 10
  br i1 %spec.select.i11, label %B468.5, label %B486

B468.5:
  %.237.6 = mul nuw nsw i64 %.245.5, 10
  %.244.6 = add nsw i64 %.237.6, -48
  %.245.6 = add nsw i64 %.244.6, %.243.6
  %.253.6 = add nsw i64 %spec.select, 7
  %.264.6 = inttoptr i64 %.253.6 to ptr
  %.265.6 = load i8, ptr %.264.6, align 1
  %.243.7 = zext i8 %.265.6 to i64
  %6 = add i8 %.265.6, -48
  %spec.select.i13 = icmp ult i8 %6, 10
  br i1 %spec.select.i13, label %B468.6, label %B486

B468.6:
  %.237.7 = mul nuw nsw i64 %.245.6, 10
  %.244.7 = add nsw i64 %.237.7, -48
  %.245.7 = add nsw i64 %.244.7, %.243.7
  %.253.7 = add nsw i64 %spec.select, 8
  %.264.7 = inttoptr i64 %.253.7 to ptr
  %.265.7 = load i8, ptr %.264.7, align 1
  %.243.8 = zext i8 %.265.7 to i64
  %7 = add i8 %.265.7, -48
  %spec.select.i15 = icmp ult i8 %7, 10
  br i1 %spec.select.i15, label %B468.7, label %B486

B468.7:
  %.237.8 = mul nuw nsw i64 %.245.7, 10
  %.244.8 = add nsw i64 %.237.8, -48
  %.245.8 = add nsw i64 %.244.8, %.243.8
  %.253.8 = add nsw i64 %spec.select, 9
  %.264.8 = inttoptr i64 %.253.8 to ptr
  %.265.8 = load i8, ptr %.264.8, align 1
  %.243.9 = zext i8 %.265.8 to i64
  %8 = add i8 %.265.8, -48
  %spec.select.i17 = icmp ult i8 %8, 10
  br i1 %spec.select.i17, label %B468.8, label %B486

B468.8:
  %.237.9 = mul nuw nsw i64 %.245.8, 10
  %.244.9 = add nsw i64 %.237.9, -48
  %.245.9 = add nsw i64 %.244.9, %.243.9
  %.253.9 = add nsw i64 %spec.select, 10
  %.264.9 = inttoptr i64 %.253.9 to ptr
  %.265.9 = load i8, ptr %.264.9, align 1
  %.243.10 = zext i8 %.265.9 to i64
  %9 = add i8 %.265.9, -48
  %spec.select.i19 = icmp ult i8 %9, 10
  br i1 %spec.select.i19, label %B468.9, label %B486

B468.9:
  %.237.10 = mul nuw nsw i64 %.245.9, 10
  %.244.10 = add nsw i64 %.237.10, -48
  %.245.10 = add nsw i64 %.244.10, %.243.10
  %.253.10 = add nsw i64 %spec.select, 11
  %.264.10 = inttoptr i64 %.253.10 to ptr
  %.265.10 = load i8, ptr %.264.10, align 1
  %.243.11 = zext i8 %.265.10 to i64
  %10 = add i8 %.265.10, -48
  %spec.select.i21 = icmp ult i8 %10, 10
  br i1 %spec.select.i21, label %B468.10, label %B486

B468.10:
  %.237.11 = mul nuw nsw i64 %.245.10, 10
  %.244.11 = add nsw i64 %.237.11, -48
  %.245.11 = add nsw i64 %.244.11, %.243.11
  %.253.11 = add nsw i64 %spec.select, 12
  %.264.11 = inttoptr i64 %.253.11 to ptr
  %.265.11 = load i8, ptr %.264.11, align 1
  %.243.12 = zext i8 %.265.11 to i64
  %11 = add i8 %.265.11, -48
  %spec.select.i23 = icmp ult i8 %11, 10
  br i1 %spec.select.i23, label %B468.11, label %B486

B468.11:
  %.237.12 = mul nuw nsw i64 %.245.11, 10
  %.244.12 = add nsw i64 %.237.12, -48
  %.245.12 = add nsw i64 %.244.12, %.243.12
  %.253.12 = add nsw i64 %spec.select, 13
  %.264.12 = inttoptr i64 %.253.12 to ptr
  %.265.12 = load i8, ptr %.264.12, align 1
  %.243.13 = zext i8 %.265.12 to i64
  %12 = add i8 %.265.12, -48
  %spec.select.i25 = icmp ult i8 %12, 10
  br i1 %spec.select.i25, label %B468.12, label %B486

B468.12:
  %.237.13 = mul nuw nsw i64 %.245.12, 10
  %.244.13 = add nsw i64 %.237.13, -48
  %.245.13 = add nsw i64 %.244.13, %.243.13
  %.253.13 = add nsw i64 %spec.select, 14
  %.264.13 = inttoptr i64 %.253.13 to ptr
  %.265.13 = load i8, ptr %.264.13, align 1
  %.243.14 = zext i8 %.265.13 to i64
  %13 = add i8 %.265.13, -48
  %spec.select.i27 = icmp ult i8 %13, 10
  br i1 %spec.select.i27, label %B468.13, label %B486

B468.13:
  %.237.14 = mul nuw nsw i64 %.245.13, 10
  %.244.14 = add nsw i64 %.237.14, -48
  %.245.14 = add nsw i64 %.244.14, %.243.14
  %.253.14 = add nsw i64 %spec.select, 15
  %.264.14 = inttoptr i64 %.253.14 to ptr
  %.265.14 = load i8, ptr %.264.14, align 1
  %.243.15 = zext i8 %.265.14 to i64
  %14 = add i8 %.265.14, -48
  %spec.select.i29 = icmp ult i8 %14, 10
  br i1 %spec.select.i29, label %B468.14, label %B486

B468.14:
  %.237.15 = mul nuw nsw i64 %.245.14, 10
  %.244.15 = add nsw i64 %.237.15, -48
  %.245.15 = add nsw i64 %.244.15, %.243.15
  %.253.15 = add nsw i64 %spec.select, 16
  %.264.15 = inttoptr i64 %.253.15 to ptr
  %.265.15 = load i8, ptr %.264.15, align 1
  %.243.16 = zext i8 %.265.15 to i64
  %15 = add i8 %.265.15, -48
  %spec.select.i31 = icmp ult i8 %15, 10
  br i1 %spec.select.i31, label %B468.15, label %B486

B468.15:
  %.237.16 = mul nuw nsw i64 %.245.15, 10
  %.244.16 = add nsw i64 %.237.16, -48
  %.245.16 = add nsw i64 %.244.16, %.243.16
  %.253.16 = add nsw i64 %spec.select, 17
  br label %B486

B486:
  %.245387 = phi i64 [ %.245.16, %B468.15 ], [ %.245, %B344.preheader ], [ %.245.1, %B468 ], [ %.245.2, %B468.1 ], [ %.245.3, %B468.2 ], [ %.245.4, %B468.3 ], [ %.245.5, %B468.4 ], [ %.245.6, %B468.5 ], [ %.245.7, %B468.6 ], [ %.245.8, %B468.7 ], [ %.245.9, %B468.8 ], [ %.245.10, %B468.9 ], [ %.245.11, %B468.10 ], [ %.245.12, %B468.11 ], [ %.245.13, %B468.12 ], [ %.245.14, %B468.13 ], [ %.245.15, %B468.14 ]
  %.253384 = phi i64 [ %.253.16, %B468.15 ], [ %.253, %B344.preheader ], [ %.253.1, %B468 ], [ %.253.2, %B468.1 ], [ %.253.3, %B468.2 ], [ %.253.4, %B468.3 ], [ %.253.5, %B468.4 ], [ %.253.6, %B468.5 ], [ %.253.7, %B468.6 ], [ %.253.8, %B468.7 ], [ %.253.9, %B468.8 ], [ %.253.10, %B468.9 ], [ %.253.11, %B468.10 ], [ %.253.12, %B468.11 ], [ %.253.13, %B468.12 ], [ %.253.14, %B468.13 ], [ %.253.15, %B468.14 ]
  %.341 = sub nsw i64 %.253384, %spec.select
  %.342 = icmp sgt i64 %.341, 16
  %.345 = icmp ugt i64 %.245387, 9223372036854773
  %or.cond = select i1 %.342, i1 true, i1 %.345
  br i1 %or.cond, label %B592, label %B526

B526:
  %16 = trunc i64 %.243 to i8
  %.350 = icmp sgt i64 %.341, 1
  %.358 = icmp eq i8 %16, 48
  %or.cond67 = and i1 %.358, %.350
  br i1 %or.cond67, label %B592, label %B606

B592:
  store i64 -2, ptr %retptr, align 8
  br label %common.ret

B606:
  %.383 = mul nuw nsw i64 %.245387, 1000
  %.394 = inttoptr i64 %.253384 to ptr
  %.395 = load i8, ptr %.394, align 1
  %.397 = icmp eq i8 %.395, 46
  br i1 %.397, label %B666, label %B1314

B666:
  %.408 = add nsw i64 %.253384, 1
  %.427 = inttoptr i64 %.408 to ptr
  %.428 = load i8, ptr %.427, align 1
  %.499 = zext i8 %.428 to i64
  %17 = add i8 %.428, -58
  %spec.select.i35 = icmp ult i8 %17, -10
  br i1 %spec.select.i35, label %B898, label %B752.endif.preheader

B886:
  %18 = mul nuw nsw i64 %.499.1, 10
  %.502.1 = add nsw i64 %.504, -480
  %.504.1 = add nsw i64 %.502.1, %18
  %.562.1 = add nsw i64 %.253384, 3
  %.573.1 = inttoptr i64 %.562.1 to ptr
  %.574.1 = load i8, ptr %.573.1, align 1
  %.499.2 = zext i8 %.574.1 to i64
  %19 = add i8 %.574.1, -48
  %spec.select.i37 = icmp ult i8 %19, 10
  br i1 %spec.select.i37, label %B886.1, label %B898

B886.1:
  %.500.2 = add nsw i64 %.504.1, -48
  %.504.2 = add nsw i64 %.500.2, %.499.2
  %.562.2 = add nsw i64 %.253384, 4
  %.662.phi.trans.insert = inttoptr i64 %.562.2 to ptr
  %.663.pre = load i8, ptr %.662.phi.trans.insert, align 1
  br label %B898

B898:
  %.663 = phi i8 [ %.428, %B666 ], [ %.663.pre, %B886.1 ], [ %.574, %B752.endif.preheader ], [ %.574.1, %B886 ]
  %value.8.2 = phi i64 [ %.383, %B666 ], [ %.504.2, %B886.1 ], [ %.504, %B752.endif.preheader ], [ %.504.1, %B886 ]
  %i.9.1 = phi i64 [ %.408, %B666 ], [ %.562.2, %B886.1 ], [ %.562, %B752.endif.preheader ], [ %.562.1, %B886 ]
  %20 = add i8 %.663, -58
  %spec.select.i41 = icmp ult i8 %20, -10
  br i1 %spec.select.i41, label %B1176, label %B1086

B1086:
  %.784 = add nsw i64 %i.9.1, 1
  %.795 = inttoptr i64 %.784 to ptr
  %.796 = load i8, ptr %.795, align 1
  %21 = add i8 %.796, -48
  %spec.select.i43 = icmp ult i8 %21, 10
  br i1 %spec.select.i43, label %B1086.1, label %B1176

B1086.1:
  %.766.1 = icmp ne i8 %.796, 48
  %.784.1 = add nsw i64 %i.9.1, 2
  %.795.1 = inttoptr i64 %.784.1 to ptr
  %.796.1 = load i8, ptr %.795.1, align 1
  %22 = add i8 %.796.1, -48
  %spec.select.i45 = icmp ult i8 %22, 10
  br i1 %spec.select.i45, label %B1086.2, label %B1176

B1086.2:
  %23 = icmp ne i8 %.796, 48
  %.766.2 = icmp ne i8 %.796.1, 48
  %.772.2 = or i1 %23, %.766.2
  %.784.2 = add nsw i64 %i.9.1, 3
  %.795.2 = inttoptr i64 %.784.2 to ptr
  %.796.2 = load i8, ptr %.795.2, align 1
  %24 = add i8 %.796.2, -48
  %spec.select.i47 = icmp ult i8 %24, 10
  br i1 %spec.select.i47, label %B1086.3, label %B1176

B1086.3:
  %.766.3 = icmp ne i8 %.796.2, 48
  %.772.3 = or i1 %.772.2, %.766.3
  %.784.3 = add nsw i64 %i.9.1, 4
  %.795.3 = inttoptr i64 %.784.3 to ptr
  %.796.3 = load i8, ptr %.795.3, align 1
  %25 = add i8 %.796.3, -48
  %spec.select.i49 = icmp ult i8 %25, 10
  br i1 %spec.select.i49, label %B1086.4, label %B1176

B1086.4:
  %.766.4 = icmp ne i8 %.796.3, 48
  %.772.4 = or i1 %.772.3, %.766.4
  %.784.4 = add nsw i64 %i.9.1, 5
  %.795.4 = inttoptr i64 %.784.4 to ptr
  %.796.4 = load i8, ptr %.795.4, align 1
  %26 = add i8 %.796.4, -48
  %spec.select.i51 = icmp ult i8 %26, 10
  br i1 %spec.select.i51, label %B1086.5, label %B1176

B1086.5:
  %.766.5 = icmp ne i8 %.796.4, 48
  %.772.5 = or i1 %.772.4, %.766.5
  %.784.5 = add nsw i64 %i.9.1, 6
  %.795.5 = inttoptr i64 %.784.5 to ptr
  %.796.5 = load i8, ptr %.795.5, align 1
  %27 = add i8 %.796.5, -48
  %spec.select.i53 = icmp ult i8 %27, 10
  br i1 %spec.select.i53, label %B1086.6, label %B1176

B1086.6:
  %.766.6 = icmp ne i8 %.796.5, 48
  %.772.6 = or i1 %.772.5, %.766.6
  %.784.6 = add nsw i64 %i.9.1, 7
  %.795.6 = inttoptr i64 %.784.6 to ptr
  %.796.6 = load i8, ptr %.795.6, align 1
  %28 = add i8 %.796.6, -48
  %spec.select.i55 = icmp ult i8 %28, 10
  br i1 %spec.select.i55, label %B1086.7, label %B1176

B1086.7:
  %.766.7 = icmp ne i8 %.796.6, 48
  %.772.7 = or i1 %.772.6, %.766.7
  %.784.7 = add nsw i64 %i.9.1, 8
  %.795.7 = inttoptr i64 %.784.7 to ptr
  %.796.7 = load i8, ptr %.795.7, align 1
  %29 = add i8 %.796.7, -48
  %spec.select.i57 = icmp ult i8 %29, 10
  br i1 %spec.select.i57, label %B1086.8, label %B1176

B1086.8:
  %.766.8 = icmp ne i8 %.796.7, 48
  %.772.8 = or i1 %.772.7, %.766.8
  %.784.8 = add nsw i64 %i.9.1, 9
  %.795.8 = inttoptr i64 %.784.8 to ptr
  %.796.8 = load i8, ptr %.795.8, align 1
  %30 = add i8 %.796.8, -48
  %spec.select.i59 = icmp ult i8 %30, 10
  br i1 %spec.select.i59, label %B1086.9, label %B1176

B1086.9:
  %.766.9 = icmp ne i8 %.796.8, 48
  %.772.9 = or i1 %.772.8, %.766.9
  %.784.9 = add nsw i64 %i.9.1, 10
  br label %B1176

B1176:
  %i.11.2 = phi i64 [ %i.9.1, %B898 ], [ %.784.9, %B1086.9 ], [ %.784, %B1086 ], [ %.784.1, %B1086.1 ], [ %.784.2, %B1086.2 ], [ %.784.3, %B1086.3 ], [ %.784.4, %B1086.4 ], [ %.784.5, %B1086.5 ], [ %.784.6, %B1086.6 ], [ %.784.7, %B1086.7 ], [ %.784.8, %B1086.8 ]
  %more.3.2 = phi i1 [ false, %B898 ], [ %.772.9, %B1086.9 ], [ false, %B1086 ], [ %.766.1, %B1086.1 ], [ %.772.2, %B1086.2 ], [ %.772.3, %B1086.3 ], [ %.772.4, %B1086.4 ], [ %.772.5, %B1086.5 ], [ %.772.6, %B1086.6 ], [ %.772.7, %B1086.7 ], [ %.772.8, %B1086.8 ]
  %.872.not = icmp slt i64 %i.11.2, %arg.hi
  br i1 %.872.not, label %B1202, label %B1188

B1188:
  store i64 -1, ptr %retptr, align 8
  br label %common.ret

B1202:
  %.898 = icmp eq i64 %i.11.2, %.408
  %.904 = sub nsw i64 %i.11.2, %i.9.1
  %.905 = icmp sgt i64 %.904, 9
  %or.cond308 = select i1 %.898, i1 true, i1 %.905
  br i1 %or.cond308, label %B1232, label %B1246

B1232:
  store i64 -2, ptr %retptr, align 8
  br label %common.ret

B1246:
  %.935 = icmp sgt i64 %i.11.2, %i.9.1
  br i1 %.935, label %B1258, label %B1314

B1258:
  %.944 = icmp ugt i8 %.663, 53
  br i1 %.944, label %B1304, label %B1270

B1270:
  %.953 = icmp eq i8 %.663, 53
  br i1 %.953, label %B1282, label %B1314

B1282:
  %.972 = and i64 %value.8.2, 1
  %.973 = icmp ne i64 %.972, 0
  %or.cond309 = select i1 %more.3.2, i1 true, i1 %.973
  br i1 %or.cond309, label %B1304, label %B1314

B1304:
  %.985 = add nuw nsw i64 %value.8.2, 1
  br label %B1314

B1314:
  %i.12.0 = phi i64 [ %i.11.2, %B1304 ], [ %i.11.2, %B1282 ], [ %i.11.2, %B1270 ], [ %i.11.2, %B1246 ], [ %.253384, %B606 ]
  %value.9.0 = phi i64 [ %.985, %B1304 ], [ %value.8.2, %B1282 ], [ %value.8.2, %B1270 ], [ %value.8.2, %B1246 ], [ %.383, %B606 ]
  %.1005.not = icmp slt i64 %i.12.0, %arg.hi
  br i1 %.1005.not, label %B1340, label %B1326

B1326:
  store i64 -1, ptr %retptr, align 8
  br label %common.ret

B1340:
  %.1022 = inttoptr i64 %i.12.0 to ptr
  %.1023 = load i8, ptr %.1022, align 1
  %31 = and i8 %.1023, -33
  %.1026 = icmp eq i8 %31, 69
  br i1 %.1026, label %B1404, label %B1418

B1404:
  store i64 -2, ptr %retptr, align 8
  br label %common.ret

B1418:
  %32 = icmp eq i8 %.25, 45
  %.1056 = sub nsw i64 0, %value.9.0
  %spec.select310 = select i1 %32, i64 %.1056, i64 %value.9.0
  %sunkaddr1 = inttoptr i64 %arg.s to ptr
  %sunkaddr2 = mul i64 %arg.slot, 8
  %sunkaddr3 = getelementptr i8, ptr %sunkaddr1, i64 %sunkaddr2
  store i64 %spec.select310, ptr %sunkaddr3, align 8
  %sunkaddr5 = inttoptr i64 %arg.s to ptr
  %sunkaddr6 = mul i64 %arg.slot, 8
  %sunkaddr7 = getelementptr i8, ptr %sunkaddr5, i64 %sunkaddr6
  %sunkaddr8 = getelementptr i8, ptr %sunkaddr7, i64 8
  store i64 1, ptr %sunkaddr8, align 8
  store i64 %i.12.0, ptr %retptr, align 8
  br label %common.ret

B228.if.if:
  %.128 = icmp sgt i32 %.120, 0
  %.121 = load ptr, ptr %excinfo.2, align 8
  %.129 = select i1 %.128, ptr %.121, ptr undef
  store ptr %.129, ptr %excinfo, align 8
  br label %common.ret

B344.preheader:
  %.245 = add nsw i64 %.243, -48
  %.253 = add nsw i64 %spec.select, 1
  %.264 = inttoptr i64 %.253 to ptr
  %.265 = load i8, ptr %.264, align 1
  %.243.1 = zext i8 %.265 to i64
  %33 = add i8 %.265, -48
  %spec.select.i63 = icmp ult i8 %33, 10
  br i1 %spec.select.i63, label %B468, label %B486

B752.endif.preheader:
  %34 = mul nuw nsw i64 %.499, 100
  %.502 = add nsw i64 %.383, -4800
  %.504 = add nsw i64 %.502, %34
  %.562 = add nsw i64 %.253384, 2
  %.573 = inttoptr i64 %.562 to ptr
  %.574 = load i8, ptr %.573, align 1
  %.499.1 = zext i8 %.574 to i64
  %35 = add i8 %.574, -48
  %spec.select.i65 = icmp ult i8 %35, 10
  br i1 %spec.select.i65, label %B886, label %B898
}

define internal i32 @identity.6(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 %arg.slot) {
B0:
  %.17.i1 = alloca i64, align 8
  %excinfo.1.i = alloca ptr, align 8
  %.76 = alloca i64, align 8
  %excinfo.2 = alloca ptr, align 8
  store ptr null, ptr %excinfo.2, align 8
  %.17 = inttoptr i64 %arg.i to ptr
  %.18 = load i8, ptr %.17, align 1
  %.20 = icmp eq i8 %.18, 34
  br i1 %.20, label %B52, label %B134

B52:
  %.23 = shl i64 %arg.slot, 3
  %.25 = add i64 %arg.s, 8
  %.26 = add i64 %.25, %.23
  %.27 = inttoptr i64 %.26 to ptr
  store i64 1, ptr %.27, align 8
  store ptr null, ptr %excinfo.1.i, align 8
  store i64 0, ptr %.17.i1, align 8
  %.21.i = call i32 @skip_value.2(ptr nonnull %.17.i1, ptr nonnull %excinfo.1.i, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.31.i = load i64, ptr %.17.i1, align 8
  %cond.i = icmp eq i32 %.21.i, 0
  br i1 %cond.i, label %B0.endif.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit

B120.i:
  %.59.i = add nsw i64 %arg.i, 1
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr1 = mul i64 %arg.slot, 8
  %sunkaddr2 = getelementptr i8, ptr %sunkaddr, i64 %sunkaddr1
  %sunkaddr3 = getelementptr i8, ptr %sunkaddr2, i64 16
  store i64 %.59.i, ptr %sunkaddr3, align 8
  %.73.i = add nsw i64 %.31.i, -1
  %sunkaddr4 = inttoptr i64 %arg.s to ptr
  %sunkaddr5 = mul i64 %arg.slot, 8
  %sunkaddr6 = getelementptr i8, ptr %sunkaddr4, i64 %sunkaddr5
  %sunkaddr7 = getelementptr i8, ptr %sunkaddr6, i64 24
  store i64 %.73.i, ptr %sunkaddr7, align 8
  br label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

B0.endif.i:
  %0 = inttoptr i64 %arg.i to ptr
  %sunkaddr8 = inttoptr i64 %arg.s to ptr
  %sunkaddr9 = mul i64 %arg.slot, 8
  %sunkaddr10 = getelementptr i8, ptr %sunkaddr8, i64 %sunkaddr9
  %sunkaddr11 = getelementptr i8, ptr %sunkaddr10, i64 16
  store i64 -1, ptr %sunkaddr11, align 8
  %.54.i = load i8, ptr %0, align 1
  %.56.i = icmp eq i8 %.54.i, 34
  br i1 %.56.i, label %B120.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread:
  store i64 %.31.i, ptr %retptr, align 8
  br label %common.ret

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit:
  %.22.i2 = load ptr, ptr %excinfo.1.i, align 8
  %.49 = icmp sgt i32 %.21.i, 0
  %.50 = select i1 %.49, ptr %.22.i2, ptr undef
  store ptr %.50, ptr %excinfo, align 8
  br label %common.ret

B134:
  store i64 0, ptr %.76, align 8
  %.80 = call i32 @read_integer.10(ptr nonnull %.76, ptr nonnull %excinfo.2, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 %arg.slot)
  %.90 = load i64, ptr %.76, align 8
  %cond6 = icmp eq i32 %.80, 0
  br i1 %cond6, label %B134.endif, label %B134.if.if

common.ret:
  %common.ret.op = phi i32 [ 0, %B220 ], [ 0, %B412 ], [ 0, %B426 ], [ 0, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread ], [ %.21.i, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit ], [ %.80, %B134.if.if ]
  ret i32 %common.ret.op

B220:
  %sunkaddr21 = getelementptr i8, ptr %sunkaddr24, i64 8
  store i64 0, ptr %sunkaddr21, align 8
  store i64 %.90, ptr %retptr, align 8
  br label %common.ret

B308:
  %1 = inttoptr i64 %arg.i to ptr
  %.167 = load i8, ptr %1, align 1
  %.169 = icmp ne i8 %.167, 45
  %2 = add i8 %.167, -58
  %spec.select.i = icmp ult i8 %2, -10
  %or.cond = and i1 %.169, %spec.select.i
  br i1 %or.cond, label %B426, label %B412

B412:
  store i64 -2, ptr %retptr, align 8
  br label %common.ret

B426:
  store i64 %.90, ptr %retptr, align 8
  br label %common.ret

B134.endif:
  %.107 = shl i64 %arg.slot, 3
  %.108 = add i64 %.107, %arg.s
  %.109 = inttoptr i64 %.108 to ptr
  %.110 = load i64, ptr %.109, align 8
  %.111.not = icmp eq i64 %.110, -9223372036854775808
  %sunkaddr22 = inttoptr i64 %arg.s to ptr
  %sunkaddr24 = getelementptr i8, ptr %sunkaddr22, i64 %.107
  br i1 %.111.not, label %B264.endif, label %B220

B134.if.if:
  %.88 = icmp sgt i32 %.80, 0
  %.81 = load ptr, ptr %excinfo.2, align 8
  %.89 = select i1 %.88, ptr %.81, ptr undef
  store ptr %.89, ptr %excinfo, align 8
  br label %common.ret

B264.endif:
  store i64 0, ptr %sunkaddr24, align 8
  %sunkaddr28 = getelementptr i8, ptr %sunkaddr24, i64 8
  store i64 1, ptr %sunkaddr28, align 8
  %sunkaddr32 = getelementptr i8, ptr %sunkaddr24, i64 16
  %.163 = icmp sgt i64 %.90, 0
  tail call void @llvm.memset.p0.i64(ptr nonnull align 8 dereferenceable(16) %sunkaddr32, i8 0, i64 16, i1 false)
  br i1 %.163, label %B308, label %B426
}

define internal i32 @arguments.7(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B0:
  %.154 = alloca i64, align 8
  %excinfo.4 = alloca ptr, align 8
  store ptr null, ptr %excinfo.4, align 8
  br label %B6

B6:
  %i.5.0 = phi i64 [ %arg.i, %B0 ], [ %i.6.1, %B286 ]
  %.15.i = icmp slt i64 %i.5.0, %arg.hi
  br i1 %.15.i, label %B16.i.preheader, label %B6.endif

B16.i.preheader:
  br label %B16.i

B16.i:
  %i.2.0.i = phi i64 [ %.58.i, %B110.i ], [ %i.5.0, %B16.i.preheader ]
  %.23.i = inttoptr i64 %i.2.0.i to ptr
  %.24.i = load i8, ptr %.23.i, align 1
  %0 = zext i8 %.24.i to i32
  %.30.i = icmp ugt i8 %.24.i, 32
  br i1 %.30.i, label %B6.endif, label %B58.i

B58.i:
  switch i32 %0, label %B6.endif [
    i32 32, label %B110.i
    i32 10, label %B110.i
    i32 13, label %B110.i
    i32 9, label %B110.i
  ]

B110.i:
  %.58.i = add i64 %i.2.0.i, 1
  %exitcond.not.i = icmp eq i64 %arg.hi, %.58.i
  br i1 %exitcond.not.i, label %B298, label %B16.i

B50:
  %.54 = inttoptr i64 %storemerge.i to ptr
  %.55 = load i8, ptr %.54, align 1
  %.64 = add nsw i64 %storemerge.i, 1
  %1 = zext i8 %.55 to i32
  switch i32 %1, label %B298 [
    i32 125, label %B98
    i32 34, label %B78.i
  ]

common.ret:
  %common.ret.op = phi i32 [ 0, %B98 ], [ 0, %B298 ], [ %.158, %B196.if ]
  ret i32 %common.ret.op

B98:
  store i64 %.64, ptr %retptr, align 8
  br label %common.ret

B78.i:
  %.2160.i.i = icmp slt i64 %.64, %arg.hi
  br i1 %.2160.i.i, label %B16.i.i.preheader, label %B298

B16.i.i.preheader:
  br label %B16.i.i

B16.i.i:
  %i.6.1.i.i = phi i64 [ %.64, %B16.i.i.preheader ], [ %i.7.2.i.i, %B320.i.i ], [ %.47.i.i, %B58.i.i ]
  %.29.i.i = inttoptr i64 %i.6.1.i.i to ptr
  %.30.i.i = load <32 x i8>, ptr %.29.i.i, align 1
  %.31.i.i = icmp eq <32 x i8> %.30.i.i, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.32.i.i = icmp eq <32 x i8> %.30.i.i, <i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92>
  %.33.i.i = or <32 x i1> %.31.i.i, %.32.i.i
  %.34.i.i = bitcast <32 x i1> %.33.i.i to i32
  %.42.i.i = icmp eq i32 %.34.i.i, 0
  br i1 %.42.i.i, label %B58.i.i, label %B70.i.i

B58.i.i:
  %.47.i.i = add nsw i64 %i.6.1.i.i, 32
  %.21.i.i = icmp slt i64 %.47.i.i, %arg.hi
  br i1 %.21.i.i, label %B16.i.i, label %B298

B70.i.i:
  %2 = tail call i32 @llvm.cttz.i32(i32 %.34.i.i, i1 true)
  %.54.i.i = zext i32 %2 to i64
  %.58.i.i = add nsw i64 %i.6.1.i.i, %.54.i.i
  %.66.not.i.i = icmp slt i64 %.58.i.i, %arg.hi
  br i1 %.66.not.i.i, label %B132.i.i, label %B298

B132.i.i:
  %.77.i.i = inttoptr i64 %.58.i.i to ptr
  %.78.i.i = load i8, ptr %.77.i.i, align 1
  %.80.i.i = icmp eq i8 %.78.i.i, 34
  br i1 %.80.i.i, label %B108.endif, label %B184.i.i

B184.i.i:
  %.92.i.i = add nsw i64 %.58.i.i, 1
  %.94.not.i.i = icmp slt i64 %.92.i.i, %arg.hi
  br i1 %.94.not.i.i, label %B216.i.i, label %B298

B216.i.i:
  %.11.i.i.i = inttoptr i64 %.92.i.i to ptr
  %.12.i.i.i = load i8, ptr %.11.i.i.i, align 1
  %3 = zext i8 %.12.i.i.i to i32
  switch i32 %3, label %B266.i.i [
    i32 34, label %B254.i.i
    i32 92, label %B254.i.i
    i32 47, label %B254.i.i
    i32 98, label %B254.i.i
    i32 102, label %B254.i.i
    i32 110, label %B254.i.i
    i32 114, label %B254.i.i
    i32 116, label %B254.i.i
    i32 117, label %B186.i.i.i
  ]

B186.i.i.i:
  %.56.i.i.i = add i64 %.58.i.i, 5
  %.58.not.i.i.i = icmp slt i64 %.56.i.i.i, %arg.hi
  br i1 %.58.not.i.i.i, label %B208.endif.endif.i.i.i, label %B266.i.i

B316.i.i.i:
  %4 = or i8 %.195.i.i.i, 32
  %5 = add i8 %4, -97
  %or.cond.i.i.i = icmp ult i8 %5, 6
  br i1 %or.cond.i.i.i, label %B388.i.i.i, label %B266.i.i

B388.i.i.i:
  %.1628488.1.i.i.i = add i64 %.58.i.i, 3
  %.194.1.i.i.i = inttoptr i64 %.1628488.1.i.i.i to ptr
  %.195.1.i.i.i = load i8, ptr %.194.1.i.i.i, align 1
  %6 = add i8 %.195.1.i.i.i, -48
  %spec.select.i.i.i.i = icmp ult i8 %6, 10
  br i1 %spec.select.i.i.i.i, label %B388.1.i.i.i, label %B316.1.i.i.i

B316.1.i.i.i:
  %7 = or i8 %.195.1.i.i.i, 32
  %8 = add i8 %7, -97
  %or.cond.1.i.i.i = icmp ult i8 %8, 6
  br i1 %or.cond.1.i.i.i, label %B388.1.i.i.i, label %B266.i.i

B388.1.i.i.i:
  %.1628488.2.i.i.i = add i64 %.58.i.i, 4
  %.194.2.i.i.i = inttoptr i64 %.1628488.2.i.i.i to ptr
  %.195.2.i.i.i = load i8, ptr %.194.2.i.i.i, align 1
  %9 = add i8 %.195.2.i.i.i, -48
  %spec.select.i1.i.i.i = icmp ult i8 %9, 10
  br i1 %spec.select.i1.i.i.i, label %B388.2.i.i.i, label %B316.2.i.i.i

B316.2.i.i.i:
  %10 = or i8 %.195.2.i.i.i, 32
  %11 = add i8 %10, -97
  %or.cond.2.i.i.i = icmp ult i8 %11, 6
  br i1 %or.cond.2.i.i.i, label %B388.2.i.i.i, label %B266.i.i

B388.2.i.i.i:
  %.194.3.i.i.i = inttoptr i64 %.56.i.i.i to ptr
  %.195.3.i.i.i = load i8, ptr %.194.3.i.i.i, align 1
  %12 = add i8 %.195.3.i.i.i, -58
  %spec.select.i3.i.i.i = icmp ult i8 %12, -10
  br i1 %spec.select.i3.i.i.i, label %B316.3.i.i.i, label %B254.i.i

B316.3.i.i.i:
  %13 = or i8 %.195.3.i.i.i, 32
  %14 = add i8 %13, -97
  %or.cond.3.i.i.i = icmp ult i8 %14, 6
  br i1 %or.cond.3.i.i.i, label %B254.i.i, label %B266.i.i

B208.endif.endif.i.i.i:
  %.1628488.i.i.i = add nsw i64 %.58.i.i, 2
  %.194.i.i.i = inttoptr i64 %.1628488.i.i.i to ptr
  %.195.i.i.i = load i8, ptr %.194.i.i.i, align 1
  %15 = add i8 %.195.i.i.i, -48
  %spec.select.i5.i.i.i = icmp ult i8 %15, 10
  br i1 %spec.select.i5.i.i.i, label %B388.i.i.i, label %B316.i.i.i

B254.i.i:
  %.145.i.i = add nsw i64 %.58.i.i, 2
  br label %B320.i.i

B266.i.i:
  %16 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %16, align 8
  br label %B320.i.i

B320.i.i:
  %i.7.2.i.i = phi i64 [ %.145.i.i, %B254.i.i ], [ %.92.i.i, %B266.i.i ]
  %.169.i.i = icmp slt i64 %i.7.2.i.i, %arg.hi
  br i1 %.169.i.i, label %B16.i.i, label %B298

B196:
  %.147 = sub nsw i64 %.58.i.i, %.64
  store i64 0, ptr %.154, align 8
  %.158 = call i32 @argument.11(ptr nonnull %.154, ptr nonnull %excinfo.4, i64 %.64, i64 %.147, i64 %storemerge.i2.i, i64 %arg.hi, i64 %arg.s)
  %.168 = load i64, ptr %.154, align 8
  %cond = icmp eq i32 %.158, 0
  br i1 %cond, label %B240, label %B196.if

B240:
  %.196 = icmp sgt i64 %.168, 0
  br i1 %.196, label %B252, label %B286

B252:
  %.15.i.i7 = icmp slt i64 %.168, %arg.hi
  br i1 %.15.i.i7, label %B16.i.i22.preheader, label %B0.endif.i

B16.i.i22.preheader:
  br label %B16.i.i22

B16.i.i22:
  %i.2.0.i.i23 = phi i64 [ %.58.i.i29, %B110.i.i28 ], [ %.168, %B16.i.i22.preheader ]
  %.23.i.i24 = inttoptr i64 %i.2.0.i.i23 to ptr
  %.24.i.i25 = load i8, ptr %.23.i.i24, align 1
  %17 = zext i8 %.24.i.i25 to i32
  %.30.i.i26 = icmp ugt i8 %.24.i.i25, 32
  br i1 %.30.i.i26, label %B0.endif.i, label %B58.i.i27

B58.i.i27:
  switch i32 %17, label %B0.endif.i [
    i32 32, label %B110.i.i28
    i32 10, label %B110.i.i28
    i32 13, label %B110.i.i28
    i32 9, label %B110.i.i28
  ]

B110.i.i28:
  %.58.i.i29 = add i64 %i.2.0.i.i23, 1
  %exitcond.not.i.i30 = icmp eq i64 %arg.hi, %.58.i.i29
  br i1 %exitcond.not.i.i30, label %B298, label %B16.i.i22

B62.i:
  %.55.i = inttoptr i64 %storemerge.i.i8 to ptr
  %.56.i = load i8, ptr %.55.i, align 1
  %18 = zext i8 %.56.i to i32
  switch i32 %18, label %B298 [
    i32 125, label %B286
    i32 44, label %B176.i
  ]

B176.i:
  %.85.i = add nsw i64 %storemerge.i.i8, 1
  %.15.i1.i9 = icmp slt i64 %.85.i, %arg.hi
  br i1 %.15.i1.i9, label %B16.i4.i12.preheader, label %B176.endif.i

B16.i4.i12.preheader:
  br label %B16.i4.i12

B16.i4.i12:
  %i.2.0.i5.i13 = phi i64 [ %.58.i11.i19, %B110.i10.i18 ], [ %.85.i, %B16.i4.i12.preheader ]
  %.23.i6.i14 = inttoptr i64 %i.2.0.i5.i13 to ptr
  %.24.i7.i15 = load i8, ptr %.23.i6.i14, align 1
  %19 = zext i8 %.24.i7.i15 to i32
  %.30.i8.i16 = icmp ugt i8 %.24.i7.i15, 32
  br i1 %.30.i8.i16, label %B176.endif.i, label %B58.i9.i17

B58.i9.i17:
  switch i32 %19, label %B176.endif.i [
    i32 32, label %B110.i10.i18
    i32 10, label %B110.i10.i18
    i32 13, label %B110.i10.i18
    i32 9, label %B110.i10.i18
  ]

B110.i10.i18:
  %.58.i11.i19 = add i64 %i.2.0.i5.i13, 1
  %exitcond.not.i12.i20 = icmp eq i64 %arg.hi, %.58.i11.i19
  br i1 %exitcond.not.i12.i20, label %B298, label %B16.i4.i12

B226.i:
  %.121.i = inttoptr i64 %storemerge.i2.i10 to ptr
  %.122.i = load i8, ptr %.121.i, align 1
  %.124.i = icmp eq i8 %.122.i, 125
  br i1 %.124.i, label %B274.i, label %B286

B274.i:
  %20 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %20, align 8
  br label %B286

B0.endif.i:
  %storemerge.i.i8 = phi i64 [ %.168, %B252 ], [ %i.2.0.i.i23, %B16.i.i22 ], [ %i.2.0.i.i23, %B58.i.i27 ]
  %.44.not.i = icmp slt i64 %storemerge.i.i8, %arg.hi
  br i1 %.44.not.i, label %B62.i, label %B298

B176.endif.i:
  %storemerge.i2.i10 = phi i64 [ %.85.i, %B176.i ], [ %i.2.0.i5.i13, %B16.i4.i12 ], [ %i.2.0.i5.i13, %B58.i9.i17 ]
  %.118.i = icmp slt i64 %storemerge.i2.i10, %arg.hi
  br i1 %.118.i, label %B226.i, label %B298

B286:
  %i.6.1 = phi i64 [ %storemerge.i2.i, %B108.endif.endif ], [ %.168, %B240 ], [ %storemerge.i.i8, %B62.i ], [ %storemerge.i2.i10, %B274.i ], [ %storemerge.i2.i10, %B226.i ]
  %.234 = icmp slt i64 %i.6.1, 0
  br i1 %.234, label %B298, label %B6

B298:
  %i.6.146 = phi i64 [ -1, %B110.i.i28 ], [ -1, %B110.i10.i18 ], [ -1, %B110.i ], [ -1, %B110.i10.i ], [ -1, %B320.i.i ], [ -1, %B58.i.i ], [ -1, %B70.i.i ], [ -1, %B184.i.i ], [ -2, %B50 ], [ -1, %B78.i ], [ -1, %B132.endif.i ], [ %.58.i.i, %B108.endif ], [ -2, %B70.i ], [ -2, %B62.i ], [ -1, %B0.endif.i ], [ -1, %B6.endif ], [ -1, %B176.endif.i ], [ %i.6.1, %B286 ]
  store i64 %i.6.146, ptr %retptr, align 8
  br label %common.ret

B6.endif:
  %storemerge.i = phi i64 [ %i.5.0, %B6 ], [ %i.2.0.i, %B16.i ], [ %i.2.0.i, %B58.i ]
  %.51 = icmp slt i64 %storemerge.i, %arg.hi
  br i1 %.51, label %B50, label %B298

B108.endif:
  %.11.i = icmp slt i64 %.58.i.i, 0
  br i1 %.11.i, label %B298, label %B20.i

B20.i:
  %.22.i = add nuw nsw i64 %.58.i.i, 1
  %.15.i.i = icmp slt i64 %.22.i, %arg.hi
  br i1 %.15.i.i, label %B16.i.i3.preheader, label %B20.endif.i

B16.i.i3.preheader:
  br label %B16.i.i3

B16.i.i3:
  %i.2.0.i.i = phi i64 [ %.58.i.i6, %B110.i.i ], [ %.22.i, %B16.i.i3.preheader ]
  %.23.i.i = inttoptr i64 %i.2.0.i.i to ptr
  %.24.i.i = load i8, ptr %.23.i.i, align 1
  %21 = zext i8 %.24.i.i to i32
  %.30.i.i4 = icmp ugt i8 %.24.i.i, 32
  br i1 %.30.i.i4, label %B20.endif.i, label %B58.i.i5

B58.i.i5:
  switch i32 %21, label %B20.endif.i [
    i32 32, label %B110.i.i
    i32 10, label %B110.i.i
    i32 13, label %B110.i.i
    i32 9, label %B110.i.i
  ]

B110.i.i:
  %.58.i.i6 = add i64 %i.2.0.i.i, 1
  %exitcond.not.i.i = icmp eq i64 %arg.hi, %.58.i.i6
  br i1 %exitcond.not.i.i, label %B132.i, label %B16.i.i3

B70.i:
  %.60.i = inttoptr i64 %storemerge.i.i to ptr
  %.61.i = load i8, ptr %.60.i, align 1
  %.63.not.i = icmp eq i8 %.61.i, 58
  br i1 %.63.not.i, label %B132.i, label %B298

B132.i:
  %storemerge.i19.i = phi i64 [ %storemerge.i.i, %B70.i ], [ %storemerge.i.i, %B20.endif.i ], [ %arg.hi, %B110.i.i ]
  %.73.i = add nsw i64 %storemerge.i19.i, 1
  %.15.i1.i = icmp slt i64 %.73.i, %arg.hi
  br i1 %.15.i1.i, label %B16.i4.i.preheader, label %B132.endif.i

B16.i4.i.preheader:
  br label %B16.i4.i

B16.i4.i:
  %i.2.0.i5.i = phi i64 [ %.58.i11.i, %B110.i10.i ], [ %.73.i, %B16.i4.i.preheader ]
  %.23.i6.i = inttoptr i64 %i.2.0.i5.i to ptr
  %.24.i7.i = load i8, ptr %.23.i6.i, align 1
  %22 = zext i8 %.24.i7.i to i32
  %.30.i8.i = icmp ugt i8 %.24.i7.i, 32
  br i1 %.30.i8.i, label %B132.endif.i, label %B58.i9.i

B58.i9.i:
  switch i32 %22, label %B132.endif.i [
    i32 32, label %B110.i10.i
    i32 10, label %B110.i10.i
    i32 13, label %B110.i10.i
    i32 9, label %B110.i10.i
  ]

B110.i10.i:
  %.58.i11.i = add i64 %i.2.0.i5.i, 1
  %exitcond.not.i12.i = icmp eq i64 %arg.hi, %.58.i11.i
  br i1 %exitcond.not.i12.i, label %B298, label %B16.i4.i

B20.endif.i:
  %storemerge.i.i = phi i64 [ %.22.i, %B20.i ], [ %i.2.0.i.i, %B16.i.i3 ], [ %i.2.0.i.i, %B58.i.i5 ]
  %.57.i = icmp slt i64 %storemerge.i.i, %arg.hi
  br i1 %.57.i, label %B70.i, label %B132.i

B132.endif.i:
  %storemerge.i2.i = phi i64 [ %.73.i, %B132.i ], [ %i.2.0.i5.i, %B16.i4.i ], [ %i.2.0.i5.i, %B58.i9.i ]
  %.106.i = icmp slt i64 %storemerge.i2.i, %arg.hi
  br i1 %.106.i, label %B108.endif.endif, label %B298

B108.endif.endif:
  %.142 = icmp sgt i64 %storemerge.i2.i, 0
  br i1 %.142, label %B196, label %B286

B196.if:
  %.166 = icmp sgt i32 %.158, 0
  %.159 = load ptr, ptr %excinfo.4, align 8
  %.167 = select i1 %.166, ptr %.159, ptr undef
  store ptr %.167, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @argument.11(ptr %retptr, ptr %excinfo, i64 %arg.a, i64 %arg.n, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B0:
  %.17.i13 = alloca i64, align 8
  %excinfo.1.i = alloca ptr, align 8
  %.102 = alloca i64, align 8
  %excinfo.3 = alloca ptr, align 8
  store ptr null, ptr %excinfo.3, align 8
  %.153 = alloca i64, align 8
  %excinfo.4 = alloca ptr, align 8
  store ptr null, ptr %excinfo.4, align 8
  %.199 = alloca i64, align 8
  %excinfo.5 = alloca ptr, align 8
  store ptr null, ptr %excinfo.5, align 8
  %.237 = alloca i64, align 8
  %excinfo.6 = alloca ptr, align 8
  store ptr null, ptr %excinfo.6, align 8
  %.285 = alloca i64, align 8
  %excinfo.7 = alloca ptr, align 8
  store ptr null, ptr %excinfo.7, align 8
  %.330 = alloca i64, align 8
  %excinfo.8 = alloca ptr, align 8
  store ptr null, ptr %excinfo.8, align 8
  %.375 = alloca i64, align 8
  %excinfo.9 = alloca ptr, align 8
  store ptr null, ptr %excinfo.9, align 8
  %.456 = alloca i64, align 8
  %excinfo.11 = alloca ptr, align 8
  store ptr null, ptr %excinfo.11, align 8
  %.493 = alloca i64, align 8
  %excinfo.12 = alloca ptr, align 8
  %.11.i = icmp sgt i64 %arg.n, 7
  br i1 %.11.i, label %B0.endif, label %B46.i

B46.i:
  %.23.i = icmp slt i64 %arg.n, 1
  br i1 %.23.i, label %B798, label %B486

B108:
  %.92 = icmp eq i64 %.42.i4, 7237481
  br i1 %.92, label %B130, label %B440

B130:
  store i64 0, ptr %.102, align 8
  %.106 = call i32 @read_integer.10(ptr nonnull %.102, ptr nonnull %excinfo.3, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 18)
  %cond17 = icmp eq i32 %.106, 0
  br i1 %cond17, label %B130.endif, label %B130.if.if

B208:
  %.138 = icmp eq i64 %.42.i4, 6580512
  br i1 %.138, label %B230, label %B440

B230:
  %.146 = add i64 %arg.s, 168
  %.147 = inttoptr i64 %.146 to ptr
  store i64 1, ptr %.147, align 8
  store i64 0, ptr %.153, align 8
  %.157 = call i32 @read_integer.10(ptr nonnull %.153, ptr nonnull %excinfo.4, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 19)
  %cond18 = icmp eq i32 %.157, 0
  br i1 %cond18, label %B230.endif, label %B230.if.if

B362:
  %.191 = icmp eq i64 %.42.i4, 6580512
  br i1 %.191, label %B384, label %B440

B384:
  store i64 0, ptr %.199, align 8
  %.203 = call i32 @read_integer.10(ptr nonnull %.199, ptr nonnull %excinfo.5, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 20)
  %cond19 = icmp eq i32 %.203, 0
  br i1 %cond19, label %B384.endif, label %B384.if.if

B440:
  store i64 0, ptr %.237, align 8
  %.241 = call i32 @skip_value.2(ptr nonnull %.237, ptr nonnull %excinfo.6, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %cond = icmp eq i32 %.241, 0
  br i1 %cond, label %B440.endif, label %B440.if.if

B486:
  %.32.i = inttoptr i64 %arg.a to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.37.i = shl nuw nsw i64 %arg.n, 3
  %.40.i = sub nuw nsw i64 64, %.37.i
  %.41.i = lshr i64 -1, %.40.i
  %.42.i = and i64 %.33.i, %.41.i
  switch i64 %.42.i, label %B798 [
    i64 111477645534564, label %B508
    i64 120265081255027, label %B586
    i64 495623371106, label %B664
    i64 1701667182, label %B742
  ]

B508:
  store i64 0, ptr %.285, align 8
  %.289 = call i32 @read_integer.10(ptr nonnull %.285, ptr nonnull %excinfo.7, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 22)
  %cond22 = icmp eq i32 %.289, 0
  br i1 %cond22, label %B508.endif, label %B508.if.if

B586:
  store i64 0, ptr %.330, align 8
  %.334 = call i32 @read_integer.10(ptr nonnull %.330, ptr nonnull %excinfo.8, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 23)
  %cond23 = icmp eq i32 %.334, 0
  br i1 %cond23, label %B586.endif, label %B586.if.if

B664:
  store i64 0, ptr %.375, align 8
  %.379 = call i32 @read_integer.10(ptr nonnull %.375, ptr nonnull %excinfo.9, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 24)
  %cond24 = icmp eq i32 %.379, 0
  br i1 %cond24, label %B664.endif, label %B664.if.if

B742:
  store ptr null, ptr %excinfo.1.i, align 8
  store i64 0, ptr %.17.i13, align 8
  %.21.i = call i32 @skip_value.2(ptr nonnull %.17.i13, ptr nonnull %excinfo.1.i, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.31.i = load i64, ptr %.17.i13, align 8
  %cond.i = icmp eq i32 %.21.i, 0
  br i1 %cond.i, label %B0.endif.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit

B120.i:
  %.59.i = add nsw i64 %arg.i, 1
  %sunkaddr.i = inttoptr i64 %arg.s to ptr
  %sunkaddr2.i = getelementptr i8, ptr %sunkaddr.i, i64 200
  store i64 %.59.i, ptr %sunkaddr2.i, align 8
  %.73.i = add nsw i64 %.31.i, -1
  %sunkaddr6.i = getelementptr i8, ptr %sunkaddr.i, i64 208
  store i64 %.73.i, ptr %sunkaddr6.i, align 8
  br label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

B0.endif.i:
  %.49.i = add i64 %arg.s, 200
  %.50.i = inttoptr i64 %.49.i to ptr
  store i64 -1, ptr %.50.i, align 8
  %.53.i = inttoptr i64 %arg.i to ptr
  %.54.i = load i8, ptr %.53.i, align 1
  %.56.i = icmp eq i8 %.54.i, 34
  br i1 %.56.i, label %B120.i, label %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread:
  store i64 %.31.i, ptr %retptr, align 8
  br label %common.ret

_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit:
  %.22.i = load ptr, ptr %excinfo.1.i, align 8
  %.432 = icmp sgt i32 %.21.i, 0
  %.433 = select i1 %.432, ptr %.22.i, ptr undef
  store ptr %.433, ptr %excinfo, align 8
  br label %common.ret

B798:
  %.42.sink.i711 = phi i64 [ %.42.i, %B486 ], [ %.17.i, %B0.endif ], [ 0, %B46.i ]
  store i64 0, ptr %.456, align 8
  %.460 = call i32 @skip_value.2(ptr nonnull %.456, ptr nonnull %excinfo.11, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %.470 = load i64, ptr %.456, align 8
  %cond20 = icmp eq i32 %.460, 0
  br i1 %cond20, label %B798.endif, label %B798.if.if

B844:
  store i64 0, ptr %.493, align 8
  %.497 = call i32 @detail.12(ptr nonnull %.493, ptr nonnull %excinfo.12, i64 %arg.a, i64 %arg.n, i64 %.42.sink.i711, i64 %arg.s)
  %.507 = load i64, ptr %.493, align 8
  %cond21 = icmp eq i32 %.497, 0
  br i1 %cond21, label %B844.endif, label %B844.if.if

B892:
  %.530 = shl i64 %.507, 4
  %.534 = add i64 %arg.s, 216
  %.535 = add i64 %.534, %.530
  %.536 = inttoptr i64 %.535 to ptr
  store i64 %arg.i, ptr %.536, align 8
  %.548 = add i64 %arg.s, 224
  %.549 = add i64 %.548, %.530
  %.550 = inttoptr i64 %.549 to ptr
  store i64 %.470, ptr %.550, align 8
  br label %B1030

common.ret:
  %common.ret.op = phi i32 [ 0, %B1030 ], [ %.497, %B844.if.if ], [ %.460, %B798.if.if ], [ 0, %B130.endif ], [ %.106, %B130.if.if ], [ 0, %B230.endif ], [ %.157, %B230.if.if ], [ 0, %B384.endif ], [ %.203, %B384.if.if ], [ 0, %B440.endif ], [ %.241, %B440.if.if ], [ 0, %B508.endif ], [ %.289, %B508.if.if ], [ 0, %B586.endif ], [ %.334, %B586.if.if ], [ 0, %B664.endif ], [ %.379, %B664.if.if ], [ 0, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit.thread ], [ %.21.i, %_ZN7llmprof10collectors5files14scanner_events5_textB3v18B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxxx.exit ]
  ret i32 %common.ret.op

B1030:
  store i64 %.470, ptr %retptr, align 8
  br label %common.ret

B0.endif:
  %.16.i = inttoptr i64 %arg.a to ptr
  %.17.i = load i64, ptr %.16.i, align 1
  %.52 = icmp eq i64 %arg.n, 11
  br i1 %.52, label %B48.endif, label %B798

B48.endif:
  %.58 = add nsw i64 %arg.a, 8
  %.32.i2 = inttoptr i64 %.58 to ptr
  %.33.i3 = load i64, ptr %.32.i2, align 1
  %.42.i4 = and i64 %.33.i3, 16777215
  switch i64 %.17.i, label %B440 [
    i64 8386103164108173155, label %B108
    i64 7809644666444609605, label %B208
    i64 7809644666444609637, label %B362
  ]

B130.endif:
  %.116 = load i64, ptr %.102, align 8
  store i64 %.116, ptr %retptr, align 8
  br label %common.ret

B130.if.if:
  %.114 = icmp sgt i32 %.106, 0
  %.107 = load ptr, ptr %excinfo.3, align 8
  %.115 = select i1 %.114, ptr %.107, ptr undef
  store ptr %.115, ptr %excinfo, align 8
  br label %common.ret

B230.endif:
  %.167 = load i64, ptr %.153, align 8
  store i64 %.167, ptr %retptr, align 8
  br label %common.ret

B230.if.if:
  %.165 = icmp sgt i32 %.157, 0
  %.158 = load ptr, ptr %excinfo.4, align 8
  %.166 = select i1 %.165, ptr %.158, ptr undef
  store ptr %.166, ptr %excinfo, align 8
  br label %common.ret

B384.endif:
  %.213 = load i64, ptr %.199, align 8
  store i64 %.213, ptr %retptr, align 8
  br label %common.ret

B384.if.if:
  %.211 = icmp sgt i32 %.203, 0
  %.204 = load ptr, ptr %excinfo.5, align 8
  %.212 = select i1 %.211, ptr %.204, ptr undef
  store ptr %.212, ptr %excinfo, align 8
  br label %common.ret

B440.endif:
  %.251 = load i64, ptr %.237, align 8
  store i64 %.251, ptr %retptr, align 8
  br label %common.ret

B440.if.if:
  %.249 = icmp sgt i32 %.241, 0
  %.242 = load ptr, ptr %excinfo.6, align 8
  %.250 = select i1 %.249, ptr %.242, ptr undef
  store ptr %.250, ptr %excinfo, align 8
  br label %common.ret

B508.endif:
  %.299 = load i64, ptr %.285, align 8
  store i64 %.299, ptr %retptr, align 8
  br label %common.ret

B508.if.if:
  %.297 = icmp sgt i32 %.289, 0
  %.290 = load ptr, ptr %excinfo.7, align 8
  %.298 = select i1 %.297, ptr %.290, ptr undef
  store ptr %.298, ptr %excinfo, align 8
  br label %common.ret

B586.endif:
  %.344 = load i64, ptr %.330, align 8
  store i64 %.344, ptr %retptr, align 8
  br label %common.ret

B586.if.if:
  %.342 = icmp sgt i32 %.334, 0
  %.335 = load ptr, ptr %excinfo.8, align 8
  %.343 = select i1 %.342, ptr %.335, ptr undef
  store ptr %.343, ptr %excinfo, align 8
  br label %common.ret

B664.endif:
  %.389 = load i64, ptr %.375, align 8
  store i64 %.389, ptr %retptr, align 8
  br label %common.ret

B664.if.if:
  %.387 = icmp sgt i32 %.379, 0
  %.380 = load ptr, ptr %excinfo.9, align 8
  %.388 = select i1 %.387, ptr %.380, ptr undef
  store ptr %.388, ptr %excinfo, align 8
  br label %common.ret

B798.endif:
  %.486 = icmp sgt i64 %.470, 0
  br i1 %.486, label %B844, label %B1030

B798.if.if:
  %.468 = icmp sgt i32 %.460, 0
  %.461 = load ptr, ptr %excinfo.11, align 8
  %.469 = select i1 %.468, ptr %.461, ptr undef
  store ptr %.469, ptr %excinfo, align 8
  br label %common.ret

B844.endif:
  %.527 = icmp sgt i64 %.507, -1
  br i1 %.527, label %B892, label %B1030

B844.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @read_integer.10(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i64 %arg.slot) {
B0:
  %.201 = alloca i64, align 8
  %excinfo.4 = alloca ptr, align 8
  store ptr null, ptr %excinfo.4, align 8
  %.18 = shl i64 %arg.slot, 3
  %.19 = add i64 %.18, %arg.s
  %.20 = inttoptr i64 %.19 to ptr
  store i64 -9223372036854775808, ptr %.20, align 8
  %.23 = inttoptr i64 %arg.i to ptr
  %.24 = load i8, ptr %.23, align 1
  %.26 = icmp eq i8 %.24, 34
  br i1 %.26, label %B96, label %B194

B96:
  %.30 = add nsw i64 %arg.i, 1
  %.2160.i = icmp slt i64 %.30, %arg.hi
  br i1 %.2160.i, label %B16.i.preheader, label %B192

B16.i.preheader:
  br label %B16.i

B16.i:
  %i.6.1.i = phi i64 [ %.30, %B16.i.preheader ], [ %i.7.2.i, %B320.i ], [ %.47.i, %B58.i ]
  %.29.i = inttoptr i64 %i.6.1.i to ptr
  %.30.i = load <32 x i8>, ptr %.29.i, align 1
  %.31.i = icmp eq <32 x i8> %.30.i, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.32.i = icmp eq <32 x i8> %.30.i, <i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92>
  %.33.i = or <32 x i1> %.31.i, %.32.i
  %.34.i = bitcast <32 x i1> %.33.i to i32
  %.42.i = icmp eq i32 %.34.i, 0
  br i1 %.42.i, label %B58.i, label %B70.i

B58.i:
  %.47.i = add nsw i64 %i.6.1.i, 32
  %.21.i = icmp slt i64 %.47.i, %arg.hi
  br i1 %.21.i, label %B16.i, label %B192

B70.i:
  %0 = tail call i32 @llvm.cttz.i32(i32 %.34.i, i1 true)
  %.54.i = zext i32 %0 to i64
  %.58.i = add nsw i64 %i.6.1.i, %.54.i
  %.66.not.i = icmp slt i64 %.58.i, %arg.hi
  br i1 %.66.not.i, label %B132.i, label %B192

B132.i:
  %.77.i = inttoptr i64 %.58.i to ptr
  %.78.i = load i8, ptr %.77.i, align 1
  %.80.i = icmp eq i8 %.78.i, 34
  br i1 %.80.i, label %B96.endif, label %B184.i

B184.i:
  %.92.i = add nsw i64 %.58.i, 1
  %.94.not.i = icmp slt i64 %.92.i, %arg.hi
  br i1 %.94.not.i, label %B216.i, label %B192

B216.i:
  %.11.i.i = inttoptr i64 %.92.i to ptr
  %.12.i.i = load i8, ptr %.11.i.i, align 1
  %1 = zext i8 %.12.i.i to i32
  switch i32 %1, label %B266.i [
    i32 34, label %B254.i
    i32 92, label %B254.i
    i32 47, label %B254.i
    i32 98, label %B254.i
    i32 102, label %B254.i
    i32 110, label %B254.i
    i32 114, label %B254.i
    i32 116, label %B254.i
    i32 117, label %B186.i.i
  ]

B186.i.i:
  %.56.i.i = add i64 %.58.i, 5
  %.58.not.i.i = icmp slt i64 %.56.i.i, %arg.hi
  br i1 %.58.not.i.i, label %B208.endif.endif.i.i, label %B266.i

B316.i.i:
  %2 = or i8 %.195.i.i, 32
  %3 = add i8 %2, -97
  %or.cond.i.i = icmp ult i8 %3, 6
  br i1 %or.cond.i.i, label %B388.i.i, label %B266.i

B388.i.i:
  %.1628488.1.i.i = add i64 %.58.i, 3
  %.194.1.i.i = inttoptr i64 %.1628488.1.i.i to ptr
  %.195.1.i.i = load i8, ptr %.194.1.i.i, align 1
  %4 = add i8 %.195.1.i.i, -48
  %spec.select.i.i.i = icmp ult i8 %4, 10
  br i1 %spec.select.i.i.i, label %B388.1.i.i, label %B316.1.i.i

B316.1.i.i:
  %5 = or i8 %.195.1.i.i, 32
  %6 = add i8 %5, -97
  %or.cond.1.i.i = icmp ult i8 %6, 6
  br i1 %or.cond.1.i.i, label %B388.1.i.i, label %B266.i

B388.1.i.i:
  %.1628488.2.i.i = add i64 %.58.i, 4
  %.194.2.i.i = inttoptr i64 %.1628488.2.i.i to ptr
  %.195.2.i.i = load i8, ptr %.194.2.i.i, align 1
  %7 = add i8 %.195.2.i.i, -48
  %spec.select.i1.i.i = icmp ult i8 %7, 10
  br i1 %spec.select.i1.i.i, label %B388.2.i.i, label %B316.2.i.i

B316.2.i.i:
  %8 = or i8 %.195.2.i.i, 32
  %9 = add i8 %8, -97
  %or.cond.2.i.i = icmp ult i8 %9, 6
  br i1 %or.cond.2.i.i, label %B388.2.i.i, label %B266.i

B388.2.i.i:
  %.194.3.i.i = inttoptr i64 %.56.i.i to ptr
  %.195.3.i.i = load i8, ptr %.194.3.i.i, align 1
  %10 = add i8 %.195.3.i.i, -58
  %spec.select.i3.i.i = icmp ult i8 %10, -10
  br i1 %spec.select.i3.i.i, label %B316.3.i.i, label %B254.i

B316.3.i.i:
  %11 = or i8 %.195.3.i.i, 32
  %12 = add i8 %11, -97
  %or.cond.3.i.i = icmp ult i8 %12, 6
  br i1 %or.cond.3.i.i, label %B254.i, label %B266.i

B208.endif.endif.i.i:
  %.1628488.i.i = add nsw i64 %.58.i, 2
  %.194.i.i = inttoptr i64 %.1628488.i.i to ptr
  %.195.i.i = load i8, ptr %.194.i.i, align 1
  %13 = add i8 %.195.i.i, -48
  %spec.select.i5.i.i = icmp ult i8 %13, 10
  br i1 %spec.select.i5.i.i, label %B388.i.i, label %B316.i.i

B254.i:
  %.145.i = add nsw i64 %.58.i, 2
  br label %B320.i

B266.i:
  %14 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %14, align 8
  br label %B320.i

B320.i:
  %i.7.2.i = phi i64 [ %.145.i, %B254.i ], [ %.92.i, %B266.i ]
  %.169.i = icmp slt i64 %i.7.2.i, %arg.hi
  br i1 %.169.i, label %B16.i, label %B192

B148:
  %.17.i = inttoptr i64 %.30 to ptr
  %.18.i = load i8, ptr %.17.i, align 1
  %15 = zext i8 %.18.i to i32
  switch i32 %15, label %B112.i [
    i32 45, label %B100.i
    i32 43, label %B100.i
  ]

B100.i:
  %.29.i12 = add nsw i64 %arg.i, 2
  br label %B112.i

B112.i:
  %"$phi112.0.2.0.i" = phi i64 [ %.29.i12, %B100.i ], [ %.30, %B148 ]
  %.49.i = sub nsw i64 %.58.i, %"$phi112.0.2.0.i"
  %.49.fr.i = freeze i64 %.49.i
  %16 = add i64 %.49.fr.i, -1
  %"$phi154.0.2.0109.i" = icmp ult i64 %16, 18
  %.171139.not.i = icmp slt i64 %.49.fr.i, 1
  br i1 %.171139.not.i, label %B426.i, label %B190.lr.ph.i

B190.lr.ph.i:
  %.266.i = icmp ugt i64 %.49.fr.i, 18
  br i1 %.266.i, label %B190.us.i.preheader, label %B190.i.preheader

B190.i.preheader:
  %17 = add i64 %.49.fr.i, 6
  br label %B190.i

B190.us.i.preheader:
  %18 = add nuw i64 %.49.fr.i, 1
  br label %B190.us.i

B190.us.i:
  %lsr.iv.i = phi i64 [ %lsr.iv.next.i, %B356.us.i ], [ %18, %B190.us.i.preheader ]
  %.177136140.us.i = phi i64 [ %.184.us.i, %B356.us.i ], [ %"$phi112.0.2.0.i", %B190.us.i.preheader ]
  %.209.us.i = inttoptr i64 %.177136140.us.i to ptr
  %.210.us.i = load i8, ptr %.209.us.i, align 1
  %.216.us.i = icmp ugt i8 %.210.us.i, 32
  %.219.us.i = icmp ne i8 %.210.us.i, 95
  %or.cond.us.not18.i = and i1 %.216.us.i, %.219.us.i
  %.222.us.i = icmp ne i8 %.210.us.i, 92
  %or.cond121.us.not17.i = and i1 %.222.us.i, %or.cond.us.not18.i
  %.225.us.i = icmp ult i8 %.210.us.i, 127
  %or.cond122.us.not16.i = and i1 %.225.us.i, %or.cond121.us.not17.i
  %19 = add nsw i8 %.210.us.i, -58
  %spec.select.i.i = icmp ult i8 %19, -10
  %or.cond15.i = select i1 %or.cond122.us.not16.i, i1 %spec.select.i.i, i1 false
  br i1 %or.cond15.i, label %B356.us.i, label %B192

B356.us.i:
  %.184.us.i = add i64 %.177136140.us.i, 1
  %lsr.iv.next.i = add i64 %lsr.iv.i, -1
  %.171.us.i = icmp ugt i64 %lsr.iv.next.i, 1
  br i1 %.171.us.i, label %B190.us.i, label %B518.i

B190.i:
  %lsr.iv = phi i64 [ %lsr.iv.next, %B356.i ], [ %17, %B190.i.preheader ]
  %plain.2.0143.i = phi i1 [ %plain.3.1.i, %B356.i ], [ true, %B190.i.preheader ]
  %value.2.0142.i = phi i64 [ %value.3.1.i, %B356.i ], [ 0, %B190.i.preheader ]
  %.177136140.i = phi i64 [ %.184.i, %B356.i ], [ %"$phi112.0.2.0.i", %B190.i.preheader ]
  %.209.i = inttoptr i64 %.177136140.i to ptr
  %.210.i = load i8, ptr %.209.i, align 1
  %.211.i = zext i8 %.210.i to i64
  %.216.i = icmp ult i8 %.210.i, 33
  %.219.i = icmp eq i8 %.210.i, 95
  %or.cond.i = or i1 %.216.i, %.219.i
  %.222.i = icmp eq i8 %.210.i, 92
  %or.cond121.i = or i1 %.222.i, %or.cond.i
  %.225.i = icmp ugt i8 %.210.i, 126
  %or.cond122.i = or i1 %.225.i, %or.cond121.i
  br i1 %or.cond122.i, label %B192, label %B356.i

B356.i:
  %20 = trunc i64 %.211.i to i8
  %.184.i = add i64 %.177136140.i, 1
  %21 = add nsw i8 %20, -48
  %spec.select.i5.i = icmp ult i8 %21, 10
  %.331.i = mul nsw i64 %value.2.0142.i, 10
  %.335.i = add i64 %.331.i, -48
  %.338.i = add i64 %.335.i, %.211.i
  %plain.3.1.i = select i1 %spec.select.i5.i, i1 %plain.2.0143.i, i1 false
  %value.3.1.i = select i1 %spec.select.i5.i, i64 %.338.i, i64 %value.2.0142.i
  %lsr.iv.next = add i64 %lsr.iv, -1
  %.171.i = icmp sgt i64 %lsr.iv.next, 6
  br i1 %.171.i, label %B190.i, label %B426.i

B426.i:
  %value.2.0.lcssa.i = phi i64 [ 0, %B112.i ], [ %value.3.1.i, %B356.i ]
  %plain.2.0.lcssa.i = phi i1 [ %"$phi154.0.2.0109.i", %B112.i ], [ %plain.3.1.i, %B356.i ]
  br i1 %plain.2.0.lcssa.i, label %B430.i, label %B518.i

B430.i:
  %.371.i = icmp eq i8 %.18.i, 45
  %.389.i = sub i64 0, %value.2.0.lcssa.i
  %spec.select.i13 = select i1 %.371.i, i64 %.389.i, i64 %value.2.0.lcssa.i
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr31 = mul i64 %arg.slot, 8
  %sunkaddr32 = getelementptr i8, ptr %sunkaddr, i64 %sunkaddr31
  store i64 %spec.select.i13, ptr %sunkaddr32, align 8
  br label %B518.i

B518.i:
  %.427.i = add nuw nsw i64 %.58.i, 1
  br label %B192

common.ret:
  %common.ret.op = phi i32 [ 0, %B192 ], [ 0, %B674 ], [ 0, %B780 ], [ 0, %B1126 ], [ 0, %B316.endif ], [ %.205, %B316.if.if ], [ 0, %B906.endif ]
  ret i32 %common.ret.op

B192:
  %"$phi192.0.2.0" = phi i64 [ %.58.i, %B96.endif ], [ -2, %B190.us.i ], [ %.427.i, %B518.i ], [ -1, %B96 ], [ -2, %B190.i ], [ -1, %B58.i ], [ -1, %B70.i ], [ -1, %B184.i ], [ -1, %B320.i ]
  store i64 %"$phi192.0.2.0", ptr %retptr, align 8
  br label %common.ret

B194:
  %.130 = icmp eq i8 %.24, 45
  %.137 = zext i1 %.130 to i64
  %spec.select = add nsw i64 %arg.i, %.137
  %.154 = inttoptr i64 %spec.select to ptr
  %.155 = load i8, ptr %.154, align 1
  %22 = add i8 %.155, -58
  %spec.select.i = icmp ult i8 %22, -10
  br i1 %spec.select.i, label %B316, label %B350

B316:
  store i64 0, ptr %.201, align 8
  %.205 = call i32 @skip_value.2(ptr nonnull %.201, ptr nonnull %excinfo.4, i64 %arg.i, i64 %arg.hi, i64 %arg.s)
  %cond = icmp eq i32 %.205, 0
  br i1 %cond, label %B316.endif, label %B316.if.if

B350:
  %.252 = icmp slt i64 %spec.select, %arg.hi
  br i1 %.252, label %B462.preheader, label %B662

B462.preheader:
  br label %B462

B462:
  %lsr.iv23 = phi i64 [ %23, %B606 ], [ %spec.select, %B462.preheader ]
  %lsr.iv44 = phi i64 [ %lsr.iv.next45, %B606 ], [ 0, %B462.preheader ]
  %.333 = phi i8 [ %.376, %B606 ], [ %.155, %B462.preheader ]
  %value.2.1 = phi i64 [ %value.3.2, %B606 ], [ 0, %B462.preheader ]
  %.325 = icmp slt i64 %lsr.iv44, 19
  br i1 %.325, label %B480, label %B584

B480:
  %.328 = mul i64 %value.2.1, 10
  %.334 = zext i8 %.333 to i64
  %.335 = add nsw i64 %.334, -48
  %.336 = add i64 %.335, %.328
  br label %B584

B584:
  %value.3.2 = phi i64 [ %.336, %B480 ], [ %value.2.1, %B462 ]
  %23 = add i64 %lsr.iv23, 1
  %.357 = icmp slt i64 %23, %arg.hi
  br i1 %.357, label %B606, label %B674

B606:
  %sunkaddr27 = inttoptr i64 %lsr.iv23 to ptr
  %sunkaddr28 = getelementptr i8, ptr %sunkaddr27, i64 1
  %.376 = load i8, ptr %sunkaddr28, align 1
  %24 = add i8 %.376, -58
  %spec.select.i4 = icmp ult i8 %24, -10
  %lsr.iv.next45 = add i64 %lsr.iv44, 1
  br i1 %spec.select.i4, label %B662, label %B462

B662:
  %.493 = phi i8 [ %.155, %B350 ], [ %.376, %B606 ]
  %i.4.0 = phi i64 [ %spec.select, %B350 ], [ %23, %B606 ]
  %value.4.0 = phi i64 [ 0, %B350 ], [ %value.3.2, %B606 ]
  %.433.not = icmp slt i64 %i.4.0, %arg.hi
  br i1 %.433.not, label %B688, label %B674

B674:
  store i64 -1, ptr %retptr, align 8
  br label %common.ret

B688:
  %.453 = sub nsw i64 %i.4.0, %spec.select
  %.458 = icmp sgt i64 %.453, 4000
  br i1 %.458, label %B780, label %B720

B720:
  %.461 = icmp sgt i64 %.453, 1
  %.469 = icmp eq i8 %.155, 48
  %or.cond = and i1 %.469, %.461
  br i1 %or.cond, label %B780, label %B794

B780:
  store i64 -2, ptr %retptr, align 8
  br label %common.ret

B794:
  %25 = zext i8 %.493 to i32
  switch i32 %25, label %B938 [
    i32 101, label %B16.i15.preheader
    i32 69, label %B16.i15.preheader
    i32 46, label %B16.i15.preheader
  ]

B16.i15.preheader:
  br label %B16.i15

B16.i15:
  %i.2.0.i = phi i64 [ %.87.i, %B184.i18 ], [ %i.4.0, %B16.i15.preheader ]
  %.18.i16 = inttoptr i64 %i.2.0.i to ptr
  %.19.i = load i8, ptr %.18.i16, align 1
  %26 = zext i8 %.19.i to i32
  %27 = add i8 %.19.i, -58
  %spec.select.i.i17 = icmp ult i8 %27, -10
  br i1 %spec.select.i.i17, label %B76.i, label %B184.i18

B76.i:
  switch i32 %26, label %B142.i [
    i32 46, label %B184.i18
    i32 45, label %B184.i18
    i32 43, label %B184.i18
  ]

B142.i:
  %28 = trunc i32 %26 to i8
  %29 = and i8 %28, -33
  %.75.i = icmp eq i8 %29, 69
  br i1 %.75.i, label %B184.i18, label %B906.endif

B184.i18:
  %.87.i = add i64 %i.2.0.i, 1
  %exitcond.not.i = icmp eq i64 %arg.hi, %.87.i
  br i1 %exitcond.not.i, label %B906.endif, label %B16.i15

B938:
  %.550 = icmp slt i64 %.453, 19
  br i1 %.550, label %B1010, label %B950

B950:
  %.553 = icmp eq i64 %.453, 19
  %.558 = icmp sgt i64 %value.4.0, -1
  %or.cond159 = select i1 %.553, i1 %.558, i1 false
  br i1 %or.cond159, label %B1010, label %B1126

B1010:
  %30 = icmp eq i8 %.24, 45
  %.584 = sub i64 0, %value.4.0
  %spec.select160 = select i1 %30, i64 %.584, i64 %value.4.0
  %sunkaddr33 = inttoptr i64 %arg.s to ptr
  %sunkaddr35 = mul i64 %arg.slot, 8
  %sunkaddr37 = getelementptr i8, ptr %sunkaddr33, i64 %sunkaddr35
  store i64 %spec.select160, ptr %sunkaddr37, align 8
  br label %B1126

B1126:
  store i64 %i.4.0, ptr %retptr, align 8
  br label %common.ret

B96.endif:
  %.65 = icmp sgt i64 %.58.i, 0
  br i1 %.65, label %B148, label %B192

B316.endif:
  %.215 = load i64, ptr %.201, align 8
  store i64 %.215, ptr %retptr, align 8
  br label %common.ret

B316.if.if:
  %.213 = icmp sgt i32 %.205, 0
  %.206 = load ptr, ptr %excinfo.4, align 8
  %.214 = select i1 %.213, ptr %.206, ptr undef
  store ptr %.214, ptr %excinfo, align 8
  br label %common.ret

B906.endif:
  %storemerge.i14 = phi i64 [ -1, %B184.i18 ], [ %i.2.0.i, %B142.i ]
  store i64 %storemerge.i14, ptr %retptr, align 8
  br label %common.ret
}

define internal i32 @detail.12(ptr %retptr, ptr %excinfo, i64 %arg.a, i64 %arg.n, i64 %arg.key, i64 %arg.s) {
B0.endif.endif:
  %arg.n.fr = freeze i64 %arg.n
  %.179 = icmp sgt i64 %arg.n.fr, 8
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr49 = getelementptr i8, ptr %sunkaddr, i64 640
  %.142.us = load i64, ptr %sunkaddr49, align 8
  br i1 %.179, label %B56.us.preheader, label %B56.preheader

B56.us.preheader:
  %.11.i = icmp ugt i64 %arg.n.fr, 15
  %.194 = shl i64 %arg.n.fr, 3
  %.40.i = sub i64 128, %.194
  %.41.i = lshr i64 -1, %.40.i
  br i1 %.11.i, label %B56.us.us.preheader, label %B56.us

B56.us.us.preheader:
  %0 = add i64 %.142.us, 24
  %1 = sub i64 192, %.194
  %2 = add nsw i64 %arg.n.fr, -16
  br label %B56.us.us

B56.us.us:
  %lsr.iv = phi i64 [ %0, %B56.us.us.preheader ], [ %lsr.iv.next, %B557.us.us ]
  %.103106112.us.us = phi i64 [ 0, %B56.us.us.preheader ], [ %.110.us.us, %B557.us.us ]
  %.110.us.us = add nuw nsw i64 %.103106112.us.us, 1
  %.144.us.us = mul nuw nsw i64 %.103106112.us.us, 40
  %.145.us.us = add nsw i64 %.144.us.us, %.142.us
  %.152.us.us = inttoptr i64 %.145.us.us to ptr
  %.153.us.us = load i64, ptr %.152.us.us, align 8
  %.155.not.us.us = icmp eq i64 %.153.us.us, %arg.n.fr
  br i1 %.155.not.us.us, label %B162.us.us, label %B557.us.us

B162.us.us:
  %3 = inttoptr i64 %.142.us to ptr
  %sunkaddr51 = getelementptr i8, ptr %3, i64 %.144.us.us
  %sunkaddr52 = getelementptr i8, ptr %sunkaddr51, i64 8
  %.161.us.us = load i64, ptr %sunkaddr52, align 8
  %.163.not.us.us = icmp eq i64 %.161.us.us, %arg.key
  br i1 %.163.not.us.us, label %B240.us.us, label %B557.us.us

B240.us.us:
  %sunkaddr8 = inttoptr i64 %arg.a to ptr
  %sunkaddr9 = getelementptr i8, ptr %sunkaddr8, i64 8
  %.17.i.us = load i64, ptr %sunkaddr9, align 1
  %sunkaddr10 = inttoptr i64 %.142.us to ptr
  %sunkaddr11 = getelementptr i8, ptr %sunkaddr10, i64 %.144.us.us
  %sunkaddr12 = getelementptr i8, ptr %sunkaddr11, i64 16
  %.269.us.us = load i64, ptr %sunkaddr12, align 8
  %.270.us.us = icmp eq i64 %.17.i.us, %.269.us.us
  br i1 %.270.us.us, label %B384.us.us.preheader, label %B534.us.us

B384.us.us.preheader:
  br label %B384.us.us

B384.us.us:
  %lsr.iv47 = phi i64 [ %lsr.iv.next48, %B406.us.us ], [ %2, %B384.us.us.preheader ]
  %lsr.iv45 = phi i64 [ %lsr.iv.next46, %B406.us.us ], [ %1, %B384.us.us.preheader ]
  %lsr.iv43 = phi i64 [ %lsr.iv.next44, %B406.us.us ], [ 16, %B384.us.us.preheader ]
  %.287.us.us = icmp slt i64 %lsr.iv43, %arg.n.fr
  br i1 %.287.us.us, label %B406.us.us, label %B534.us.us

B406.us.us:
  %4 = inttoptr i64 %lsr.iv to ptr
  %5 = add i64 %arg.a, %lsr.iv43
  %.11.i1.us = icmp sgt i64 %lsr.iv47, 7
  %.16.i13.us = inttoptr i64 %5 to ptr
  %.17.i14.us = load i64, ptr %.16.i13.us, align 1
  %.41.i9.us = lshr i64 -1, %lsr.iv45
  %.42.i10.us = select i1 %.11.i1.us, i64 -1, i64 %.41.i9.us
  %.42.sink.i11.us = and i64 %.17.i14.us, %.42.i10.us
  %sunkaddr14 = getelementptr i8, ptr %4, i64 %lsr.iv43
  %sunkaddr15 = getelementptr i8, ptr %sunkaddr14, i64 -16
  %.376.us.us = load i64, ptr %sunkaddr15, align 8
  %.377.us.us = icmp eq i64 %.42.sink.i11.us, %.376.us.us
  %lsr.iv.next44 = add nuw i64 %lsr.iv43, 8
  %lsr.iv.next46 = add i64 %lsr.iv45, 64
  %lsr.iv.next48 = add i64 %lsr.iv47, -8
  br i1 %.377.us.us, label %B384.us.us, label %B534.us.us

B534.us.us:
  %at.3.2.us.us = phi i64 [ 8, %B240.us.us ], [ %lsr.iv43, %B384.us.us ], [ %lsr.iv43, %B406.us.us ]
  %.394.not.us.us = icmp slt i64 %at.3.2.us.us, %arg.n.fr
  br i1 %.394.not.us.us, label %B557.us.us, label %common.ret

B557.us.us:
  %lsr.iv.next = add i64 %lsr.iv, 40
  %exitcond.not.us = icmp eq i64 %.110.us.us, 14
  br i1 %exitcond.not.us, label %B556, label %B56.us.us

B56.us:
  %.152.us = inttoptr i64 %.142.us to ptr
  %.153.us = load i64, ptr %.152.us, align 8
  %.155.not.us = icmp eq i64 %.153.us, %arg.n.fr
  br i1 %.155.not.us, label %B162.us, label %B557.us

B162.us:
  %.159.us = add i64 %.142.us, 8
  %.160.us = inttoptr i64 %.159.us to ptr
  %.161.us = load i64, ptr %.160.us, align 8
  %.163.not.us = icmp eq i64 %.161.us, %arg.key
  br i1 %.163.not.us, label %B240.us, label %B557.us

B240.us:
  %sunkaddr58 = inttoptr i64 %arg.a to ptr
  %sunkaddr59 = getelementptr i8, ptr %sunkaddr58, i64 8
  %.33.i = load i64, ptr %sunkaddr59, align 1
  %.42.i = and i64 %.33.i, %.41.i
  %.267.us = add i64 %.142.us, 16
  %.268.us = inttoptr i64 %.267.us to ptr
  %.269.us = load i64, ptr %.268.us, align 8
  %.270.us = icmp eq i64 %.42.i, %.269.us
  %spec.select = select i1 %.270.us, i64 16, i64 8
  %.394.not.us = icmp ult i64 %spec.select, %arg.n.fr
  br i1 %.394.not.us, label %B557.us, label %common.ret

B557.us:
  %.145.us.1 = add nsw i64 %.142.us, 40
  %.152.us.1 = inttoptr i64 %.145.us.1 to ptr
  %.153.us.1 = load i64, ptr %.152.us.1, align 8
  %.155.not.us.1 = icmp eq i64 %.153.us.1, %arg.n.fr
  br i1 %.155.not.us.1, label %B162.us.1, label %B557.us.1

B162.us.1:
  %.159.us.1 = add i64 %.142.us, 48
  %.160.us.1 = inttoptr i64 %.159.us.1 to ptr
  %.161.us.1 = load i64, ptr %.160.us.1, align 8
  %.163.not.us.1 = icmp eq i64 %.161.us.1, %arg.key
  br i1 %.163.not.us.1, label %B240.us.1, label %B557.us.1

B240.us.1:
  %sunkaddr60 = inttoptr i64 %arg.a to ptr
  %sunkaddr61 = getelementptr i8, ptr %sunkaddr60, i64 8
  %.33.i.1 = load i64, ptr %sunkaddr61, align 1
  %.42.i.1 = and i64 %.33.i.1, %.41.i
  %.267.us.1 = add i64 %.142.us, 56
  %.268.us.1 = inttoptr i64 %.267.us.1 to ptr
  %.269.us.1 = load i64, ptr %.268.us.1, align 8
  %.270.us.1 = icmp eq i64 %.42.i.1, %.269.us.1
  %spec.select.1 = select i1 %.270.us.1, i64 16, i64 8
  %.394.not.us.1 = icmp ult i64 %spec.select.1, %arg.n.fr
  br i1 %.394.not.us.1, label %B557.us.1, label %common.ret

B557.us.1:
  %.145.us.2 = add nsw i64 %.142.us, 80
  %.152.us.2 = inttoptr i64 %.145.us.2 to ptr
  %.153.us.2 = load i64, ptr %.152.us.2, align 8
  %.155.not.us.2 = icmp eq i64 %.153.us.2, %arg.n.fr
  br i1 %.155.not.us.2, label %B162.us.2, label %B557.us.2

B162.us.2:
  %.159.us.2 = add i64 %.142.us, 88
  %.160.us.2 = inttoptr i64 %.159.us.2 to ptr
  %.161.us.2 = load i64, ptr %.160.us.2, align 8
  %.163.not.us.2 = icmp eq i64 %.161.us.2, %arg.key
  br i1 %.163.not.us.2, label %B240.us.2, label %B557.us.2

B240.us.2:
  %sunkaddr62 = inttoptr i64 %arg.a to ptr
  %sunkaddr63 = getelementptr i8, ptr %sunkaddr62, i64 8
  %.33.i.2 = load i64, ptr %sunkaddr63, align 1
  %.42.i.2 = and i64 %.33.i.2, %.41.i
  %.267.us.2 = add i64 %.142.us, 96
  %.268.us.2 = inttoptr i64 %.267.us.2 to ptr
  %.269.us.2 = load i64, ptr %.268.us.2, align 8
  %.270.us.2 = icmp eq i64 %.42.i.2, %.269.us.2
  %spec.select.2 = select i1 %.270.us.2, i64 16, i64 8
  %.394.not.us.2 = icmp ult i64 %spec.select.2, %arg.n.fr
  br i1 %.394.not.us.2, label %B557.us.2, label %common.ret

B557.us.2:
  %.145.us.3 = add nsw i64 %.142.us, 120
  %.152.us.3 = inttoptr i64 %.145.us.3 to ptr
  %.153.us.3 = load i64, ptr %.152.us.3, align 8
  %.155.not.us.3 = icmp eq i64 %.153.us.3, %arg.n.fr
  br i1 %.155.not.us.3, label %B162.us.3, label %B557.us.3

B162.us.3:
  %.159.us.3 = add i64 %.142.us, 128
  %.160.us.3 = inttoptr i64 %.159.us.3 to ptr
  %.161.us.3 = load i64, ptr %.160.us.3, align 8
  %.163.not.us.3 = icmp eq i64 %.161.us.3, %arg.key
  br i1 %.163.not.us.3, label %B240.us.3, label %B557.us.3

B240.us.3:
  %sunkaddr64 = inttoptr i64 %arg.a to ptr
  %sunkaddr65 = getelementptr i8, ptr %sunkaddr64, i64 8
  %.33.i.3 = load i64, ptr %sunkaddr65, align 1
  %.42.i.3 = and i64 %.33.i.3, %.41.i
  %.267.us.3 = add i64 %.142.us, 136
  %.268.us.3 = inttoptr i64 %.267.us.3 to ptr
  %.269.us.3 = load i64, ptr %.268.us.3, align 8
  %.270.us.3 = icmp eq i64 %.42.i.3, %.269.us.3
  %spec.select.3 = select i1 %.270.us.3, i64 16, i64 8
  %.394.not.us.3 = icmp ult i64 %spec.select.3, %arg.n.fr
  br i1 %.394.not.us.3, label %B557.us.3, label %common.ret

B557.us.3:
  %.145.us.4 = add nsw i64 %.142.us, 160
  %.152.us.4 = inttoptr i64 %.145.us.4 to ptr
  %.153.us.4 = load i64, ptr %.152.us.4, align 8
  %.155.not.us.4 = icmp eq i64 %.153.us.4, %arg.n.fr
  br i1 %.155.not.us.4, label %B162.us.4, label %B557.us.4

B162.us.4:
  %.159.us.4 = add i64 %.142.us, 168
  %.160.us.4 = inttoptr i64 %.159.us.4 to ptr
  %.161.us.4 = load i64, ptr %.160.us.4, align 8
  %.163.not.us.4 = icmp eq i64 %.161.us.4, %arg.key
  br i1 %.163.not.us.4, label %B240.us.4, label %B557.us.4

B240.us.4:
  %sunkaddr66 = inttoptr i64 %arg.a to ptr
  %sunkaddr67 = getelementptr i8, ptr %sunkaddr66, i64 8
  %.33.i.4 = load i64, ptr %sunkaddr67, align 1
  %.42.i.4 = and i64 %.33.i.4, %.41.i
  %.267.us.4 = add i64 %.142.us, 176
  %.268.us.4 = inttoptr i64 %.267.us.4 to ptr
  %.269.us.4 = load i64, ptr %.268.us.4, align 8
  %.270.us.4 = icmp eq i64 %.42.i.4, %.269.us.4
  %spec.select.4 = select i1 %.270.us.4, i64 16, i64 8
  %.394.not.us.4 = icmp ult i64 %spec.select.4, %arg.n.fr
  br i1 %.394.not.us.4, label %B557.us.4, label %common.ret

B557.us.4:
  %.145.us.5 = add nsw i64 %.142.us, 200
  %.152.us.5 = inttoptr i64 %.145.us.5 to ptr
  %.153.us.5 = load i64, ptr %.152.us.5, align 8
  %.155.not.us.5 = icmp eq i64 %.153.us.5, %arg.n.fr
  br i1 %.155.not.us.5, label %B162.us.5, label %B557.us.5

B162.us.5:
  %.159.us.5 = add i64 %.142.us, 208
  %.160.us.5 = inttoptr i64 %.159.us.5 to ptr
  %.161.us.5 = load i64, ptr %.160.us.5, align 8
  %.163.not.us.5 = icmp eq i64 %.161.us.5, %arg.key
  br i1 %.163.not.us.5, label %B240.us.5, label %B557.us.5

B240.us.5:
  %sunkaddr68 = inttoptr i64 %arg.a to ptr
  %sunkaddr69 = getelementptr i8, ptr %sunkaddr68, i64 8
  %.33.i.5 = load i64, ptr %sunkaddr69, align 1
  %.42.i.5 = and i64 %.33.i.5, %.41.i
  %.267.us.5 = add i64 %.142.us, 216
  %.268.us.5 = inttoptr i64 %.267.us.5 to ptr
  %.269.us.5 = load i64, ptr %.268.us.5, align 8
  %.270.us.5 = icmp eq i64 %.42.i.5, %.269.us.5
  %spec.select.5 = select i1 %.270.us.5, i64 16, i64 8
  %.394.not.us.5 = icmp ult i64 %spec.select.5, %arg.n.fr
  br i1 %.394.not.us.5, label %B557.us.5, label %common.ret

B557.us.5:
  %.145.us.6 = add nsw i64 %.142.us, 240
  %.152.us.6 = inttoptr i64 %.145.us.6 to ptr
  %.153.us.6 = load i64, ptr %.152.us.6, align 8
  %.155.not.us.6 = icmp eq i64 %.153.us.6, %arg.n.fr
  br i1 %.155.not.us.6, label %B162.us.6, label %B557.us.6

B162.us.6:
  %.159.us.6 = add i64 %.142.us, 248
  %.160.us.6 = inttoptr i64 %.159.us.6 to ptr
  %.161.us.6 = load i64, ptr %.160.us.6, align 8
  %.163.not.us.6 = icmp eq i64 %.161.us.6, %arg.key
  br i1 %.163.not.us.6, label %B240.us.6, label %B557.us.6

B240.us.6:
  %sunkaddr70 = inttoptr i64 %arg.a to ptr
  %sunkaddr71 = getelementptr i8, ptr %sunkaddr70, i64 8
  %.33.i.6 = load i64, ptr %sunkaddr71, align 1
  %.42.i.6 = and i64 %.33.i.6, %.41.i
  %.267.us.6 = add i64 %.142.us, 256
  %.268.us.6 = inttoptr i64 %.267.us.6 to ptr
  %.269.us.6 = load i64, ptr %.268.us.6, align 8
  %.270.us.6 = icmp eq i64 %.42.i.6, %.269.us.6
  %spec.select.6 = select i1 %.270.us.6, i64 16, i64 8
  %.394.not.us.6 = icmp ult i64 %spec.select.6, %arg.n.fr
  br i1 %.394.not.us.6, label %B557.us.6, label %common.ret

B557.us.6:
  %.145.us.7 = add nsw i64 %.142.us, 280
  %.152.us.7 = inttoptr i64 %.145.us.7 to ptr
  %.153.us.7 = load i64, ptr %.152.us.7, align 8
  %.155.not.us.7 = icmp eq i64 %.153.us.7, %arg.n.fr
  br i1 %.155.not.us.7, label %B162.us.7, label %B557.us.7

B162.us.7:
  %.159.us.7 = add i64 %.142.us, 288
  %.160.us.7 = inttoptr i64 %.159.us.7 to ptr
  %.161.us.7 = load i64, ptr %.160.us.7, align 8
  %.163.not.us.7 = icmp eq i64 %.161.us.7, %arg.key
  br i1 %.163.not.us.7, label %B240.us.7, label %B557.us.7

B240.us.7:
  %sunkaddr72 = inttoptr i64 %arg.a to ptr
  %sunkaddr73 = getelementptr i8, ptr %sunkaddr72, i64 8
  %.33.i.7 = load i64, ptr %sunkaddr73, align 1
  %.42.i.7 = and i64 %.33.i.7, %.41.i
  %.267.us.7 = add i64 %.142.us, 296
  %.268.us.7 = inttoptr i64 %.267.us.7 to ptr
  %.269.us.7 = load i64, ptr %.268.us.7, align 8
  %.270.us.7 = icmp eq i64 %.42.i.7, %.269.us.7
  %spec.select.7 = select i1 %.270.us.7, i64 16, i64 8
  %.394.not.us.7 = icmp ult i64 %spec.select.7, %arg.n.fr
  br i1 %.394.not.us.7, label %B557.us.7, label %common.ret

B557.us.7:
  %.145.us.8 = add nsw i64 %.142.us, 320
  %.152.us.8 = inttoptr i64 %.145.us.8 to ptr
  %.153.us.8 = load i64, ptr %.152.us.8, align 8
  %.155.not.us.8 = icmp eq i64 %.153.us.8, %arg.n.fr
  br i1 %.155.not.us.8, label %B162.us.8, label %B557.us.8

B162.us.8:
  %.159.us.8 = add i64 %.142.us, 328
  %.160.us.8 = inttoptr i64 %.159.us.8 to ptr
  %.161.us.8 = load i64, ptr %.160.us.8, align 8
  %.163.not.us.8 = icmp eq i64 %.161.us.8, %arg.key
  br i1 %.163.not.us.8, label %B240.us.8, label %B557.us.8

B240.us.8:
  %sunkaddr74 = inttoptr i64 %arg.a to ptr
  %sunkaddr75 = getelementptr i8, ptr %sunkaddr74, i64 8
  %.33.i.8 = load i64, ptr %sunkaddr75, align 1
  %.42.i.8 = and i64 %.33.i.8, %.41.i
  %.267.us.8 = add i64 %.142.us, 336
  %.268.us.8 = inttoptr i64 %.267.us.8 to ptr
  %.269.us.8 = load i64, ptr %.268.us.8, align 8
  %.270.us.8 = icmp eq i64 %.42.i.8, %.269.us.8
  %spec.select.8 = select i1 %.270.us.8, i64 16, i64 8
  %.394.not.us.8 = icmp ult i64 %spec.select.8, %arg.n.fr
  br i1 %.394.not.us.8, label %B557.us.8, label %common.ret

B557.us.8:
  %.145.us.9 = add nsw i64 %.142.us, 360
  %.152.us.9 = inttoptr i64 %.145.us.9 to ptr
  %.153.us.9 = load i64, ptr %.152.us.9, align 8
  %.155.not.us.9 = icmp eq i64 %.153.us.9, %arg.n.fr
  br i1 %.155.not.us.9, label %B162.us.9, label %B557.us.9

B162.us.9:
  %.159.us.9 = add i64 %.142.us, 368
  %.160.us.9 = inttoptr i64 %.159.us.9 to ptr
  %.161.us.9 = load i64, ptr %.160.us.9, align 8
  %.163.not.us.9 = icmp eq i64 %.161.us.9, %arg.key
  br i1 %.163.not.us.9, label %B240.us.9, label %B557.us.9

B240.us.9:
  %sunkaddr76 = inttoptr i64 %arg.a to ptr
  %sunkaddr77 = getelementptr i8, ptr %sunkaddr76, i64 8
  %.33.i.9 = load i64, ptr %sunkaddr77, align 1
  %.42.i.9 = and i64 %.33.i.9, %.41.i
  %.267.us.9 = add i64 %.142.us, 376
  %.268.us.9 = inttoptr i64 %.267.us.9 to ptr
  %.269.us.9 = load i64, ptr %.268.us.9, align 8
  %.270.us.9 = icmp eq i64 %.42.i.9, %.269.us.9
  %spec.select.9 = select i1 %.270.us.9, i64 16, i64 8
  %.394.not.us.9 = icmp ult i64 %spec.select.9, %arg.n.fr
  br i1 %.394.not.us.9, label %B557.us.9, label %common.ret

B557.us.9:
  %.145.us.10 = add nsw i64 %.142.us, 400
  %.152.us.10 = inttoptr i64 %.145.us.10 to ptr
  %.153.us.10 = load i64, ptr %.152.us.10, align 8
  %.155.not.us.10 = icmp eq i64 %.153.us.10, %arg.n.fr
  br i1 %.155.not.us.10, label %B162.us.10, label %B557.us.10

B162.us.10:
  %.159.us.10 = add i64 %.142.us, 408
  %.160.us.10 = inttoptr i64 %.159.us.10 to ptr
  %.161.us.10 = load i64, ptr %.160.us.10, align 8
  %.163.not.us.10 = icmp eq i64 %.161.us.10, %arg.key
  br i1 %.163.not.us.10, label %B240.us.10, label %B557.us.10

B240.us.10:
  %sunkaddr78 = inttoptr i64 %arg.a to ptr
  %sunkaddr79 = getelementptr i8, ptr %sunkaddr78, i64 8
  %.33.i.10 = load i64, ptr %sunkaddr79, align 1
  %.42.i.10 = and i64 %.33.i.10, %.41.i
  %.267.us.10 = add i64 %.142.us, 416
  %.268.us.10 = inttoptr i64 %.267.us.10 to ptr
  %.269.us.10 = load i64, ptr %.268.us.10, align 8
  %.270.us.10 = icmp eq i64 %.42.i.10, %.269.us.10
  %spec.select.10 = select i1 %.270.us.10, i64 16, i64 8
  %.394.not.us.10 = icmp ult i64 %spec.select.10, %arg.n.fr
  br i1 %.394.not.us.10, label %B557.us.10, label %common.ret

B557.us.10:
  %.145.us.11 = add nsw i64 %.142.us, 440
  %.152.us.11 = inttoptr i64 %.145.us.11 to ptr
  %.153.us.11 = load i64, ptr %.152.us.11, align 8
  %.155.not.us.11 = icmp eq i64 %.153.us.11, %arg.n.fr
  br i1 %.155.not.us.11, label %B162.us.11, label %B557.us.11

B162.us.11:
  %.159.us.11 = add i64 %.142.us, 448
  %.160.us.11 = inttoptr i64 %.159.us.11 to ptr
  %.161.us.11 = load i64, ptr %.160.us.11, align 8
  %.163.not.us.11 = icmp eq i64 %.161.us.11, %arg.key
  br i1 %.163.not.us.11, label %B240.us.11, label %B557.us.11

B240.us.11:
  %sunkaddr80 = inttoptr i64 %arg.a to ptr
  %sunkaddr81 = getelementptr i8, ptr %sunkaddr80, i64 8
  %.33.i.11 = load i64, ptr %sunkaddr81, align 1
  %.42.i.11 = and i64 %.33.i.11, %.41.i
  %.267.us.11 = add i64 %.142.us, 456
  %.268.us.11 = inttoptr i64 %.267.us.11 to ptr
  %.269.us.11 = load i64, ptr %.268.us.11, align 8
  %.270.us.11 = icmp eq i64 %.42.i.11, %.269.us.11
  %spec.select.11 = select i1 %.270.us.11, i64 16, i64 8
  %.394.not.us.11 = icmp ult i64 %spec.select.11, %arg.n.fr
  br i1 %.394.not.us.11, label %B557.us.11, label %common.ret

B557.us.11:
  %.145.us.12 = add nsw i64 %.142.us, 480
  %.152.us.12 = inttoptr i64 %.145.us.12 to ptr
  %.153.us.12 = load i64, ptr %.152.us.12, align 8
  %.155.not.us.12 = icmp eq i64 %.153.us.12, %arg.n.fr
  br i1 %.155.not.us.12, label %B162.us.12, label %B557.us.12

B162.us.12:
  %.159.us.12 = add i64 %.142.us, 488
  %.160.us.12 = inttoptr i64 %.159.us.12 to ptr
  %.161.us.12 = load i64, ptr %.160.us.12, align 8
  %.163.not.us.12 = icmp eq i64 %.161.us.12, %arg.key
  br i1 %.163.not.us.12, label %B240.us.12, label %B557.us.12

B240.us.12:
  %sunkaddr82 = inttoptr i64 %arg.a to ptr
  %sunkaddr83 = getelementptr i8, ptr %sunkaddr82, i64 8
  %.33.i.12 = load i64, ptr %sunkaddr83, align 1
  %.42.i.12 = and i64 %.33.i.12, %.41.i
  %.267.us.12 = add i64 %.142.us, 496
  %.268.us.12 = inttoptr i64 %.267.us.12 to ptr
  %.269.us.12 = load i64, ptr %.268.us.12, align 8
  %.270.us.12 = icmp eq i64 %.42.i.12, %.269.us.12
  %spec.select.12 = select i1 %.270.us.12, i64 16, i64 8
  %.394.not.us.12 = icmp ult i64 %spec.select.12, %arg.n.fr
  br i1 %.394.not.us.12, label %B557.us.12, label %common.ret

B557.us.12:
  %.145.us.13 = add nsw i64 %.142.us, 520
  %.152.us.13 = inttoptr i64 %.145.us.13 to ptr
  %.153.us.13 = load i64, ptr %.152.us.13, align 8
  %.155.not.us.13 = icmp eq i64 %.153.us.13, %arg.n.fr
  br i1 %.155.not.us.13, label %B162.us.13, label %B556

B162.us.13:
  %.159.us.13 = add i64 %.142.us, 528
  %.160.us.13 = inttoptr i64 %.159.us.13 to ptr
  %.161.us.13 = load i64, ptr %.160.us.13, align 8
  %.163.not.us.13 = icmp eq i64 %.161.us.13, %arg.key
  br i1 %.163.not.us.13, label %B240.us.13, label %B556

B240.us.13:
  %sunkaddr84 = inttoptr i64 %arg.a to ptr
  %sunkaddr85 = getelementptr i8, ptr %sunkaddr84, i64 8
  %.33.i.13 = load i64, ptr %sunkaddr85, align 1
  %.42.i.13 = and i64 %.33.i.13, %.41.i
  %.267.us.13 = add i64 %.142.us, 536
  %.268.us.13 = inttoptr i64 %.267.us.13 to ptr
  %.269.us.13 = load i64, ptr %.268.us.13, align 8
  %.270.us.13 = icmp eq i64 %.42.i.13, %.269.us.13
  %spec.select.13 = select i1 %.270.us.13, i64 16, i64 8
  %.394.not.us.13 = icmp ult i64 %spec.select.13, %arg.n.fr
  br i1 %.394.not.us.13, label %B556, label %common.ret

B56.preheader:
  %.152 = inttoptr i64 %.142.us to ptr
  %.153 = load i64, ptr %.152, align 8
  %.155.not = icmp eq i64 %.153, %arg.n.fr
  br i1 %.155.not, label %B162, label %B557

B162:
  %.159 = add i64 %.142.us, 8
  %.160 = inttoptr i64 %.159 to ptr
  %.161 = load i64, ptr %.160, align 8
  %.163.not = icmp eq i64 %.161, %arg.key
  br i1 %.163.not, label %common.ret, label %B557

common.ret:
  %storemerge = phi i64 [ -1, %B556 ], [ 13, %B162.13 ], [ 0, %B162 ], [ 1, %B162.1 ], [ 2, %B162.2 ], [ 3, %B162.3 ], [ 4, %B162.4 ], [ 5, %B162.5 ], [ 6, %B162.6 ], [ 7, %B162.7 ], [ 8, %B162.8 ], [ 9, %B162.9 ], [ 10, %B162.10 ], [ 11, %B162.11 ], [ 12, %B162.12 ], [ 13, %B240.us.13 ], [ 0, %B240.us ], [ 1, %B240.us.1 ], [ 2, %B240.us.2 ], [ 3, %B240.us.3 ], [ 4, %B240.us.4 ], [ 5, %B240.us.5 ], [ 6, %B240.us.6 ], [ 7, %B240.us.7 ], [ 8, %B240.us.8 ], [ 9, %B240.us.9 ], [ 10, %B240.us.10 ], [ 11, %B240.us.11 ], [ 12, %B240.us.12 ], [ %.103106112.us.us, %B534.us.us ]
  store i64 %storemerge, ptr %retptr, align 8
  ret i32 0

B556:
  br label %common.ret

B557:
  %.145.1 = add nsw i64 %.142.us, 40
  %.152.1 = inttoptr i64 %.145.1 to ptr
  %.153.1 = load i64, ptr %.152.1, align 8
  %.155.not.1 = icmp eq i64 %.153.1, %arg.n.fr
  br i1 %.155.not.1, label %B162.1, label %B557.1

B162.1:
  %.159.1 = add i64 %.142.us, 48
  %.160.1 = inttoptr i64 %.159.1 to ptr
  %.161.1 = load i64, ptr %.160.1, align 8
  %.163.not.1 = icmp eq i64 %.161.1, %arg.key
  br i1 %.163.not.1, label %common.ret, label %B557.1

B557.1:
  %.145.2 = add nsw i64 %.142.us, 80
  %.152.2 = inttoptr i64 %.145.2 to ptr
  %.153.2 = load i64, ptr %.152.2, align 8
  %.155.not.2 = icmp eq i64 %.153.2, %arg.n.fr
  br i1 %.155.not.2, label %B162.2, label %B557.2

B162.2:
  %.159.2 = add i64 %.142.us, 88
  %.160.2 = inttoptr i64 %.159.2 to ptr
  %.161.2 = load i64, ptr %.160.2, align 8
  %.163.not.2 = icmp eq i64 %.161.2, %arg.key
  br i1 %.163.not.2, label %common.ret, label %B557.2

B557.2:
  %.145.3 = add nsw i64 %.142.us, 120
  %.152.3 = inttoptr i64 %.145.3 to ptr
  %.153.3 = load i64, ptr %.152.3, align 8
  %.155.not.3 = icmp eq i64 %.153.3, %arg.n.fr
  br i1 %.155.not.3, label %B162.3, label %B557.3

B162.3:
  %.159.3 = add i64 %.142.us, 128
  %.160.3 = inttoptr i64 %.159.3 to ptr
  %.161.3 = load i64, ptr %.160.3, align 8
  %.163.not.3 = icmp eq i64 %.161.3, %arg.key
  br i1 %.163.not.3, label %common.ret, label %B557.3

B557.3:
  %.145.4 = add nsw i64 %.142.us, 160
  %.152.4 = inttoptr i64 %.145.4 to ptr
  %.153.4 = load i64, ptr %.152.4, align 8
  %.155.not.4 = icmp eq i64 %.153.4, %arg.n.fr
  br i1 %.155.not.4, label %B162.4, label %B557.4

B162.4:
  %.159.4 = add i64 %.142.us, 168
  %.160.4 = inttoptr i64 %.159.4 to ptr
  %.161.4 = load i64, ptr %.160.4, align 8
  %.163.not.4 = icmp eq i64 %.161.4, %arg.key
  br i1 %.163.not.4, label %common.ret, label %B557.4

B557.4:
  %.145.5 = add nsw i64 %.142.us, 200
  %.152.5 = inttoptr i64 %.145.5 to ptr
  %.153.5 = load i64, ptr %.152.5, align 8
  %.155.not.5 = icmp eq i64 %.153.5, %arg.n.fr
  br i1 %.155.not.5, label %B162.5, label %B557.5

B162.5:
  %.159.5 = add i64 %.142.us, 208
  %.160.5 = inttoptr i64 %.159.5 to ptr
  %.161.5 = load i64, ptr %.160.5, align 8
  %.163.not.5 = icmp eq i64 %.161.5, %arg.key
  br i1 %.163.not.5, label %common.ret, label %B557.5

B557.5:
  %.145.6 = add nsw i64 %.142.us, 240
  %.152.6 = inttoptr i64 %.145.6 to ptr
  %.153.6 = load i64, ptr %.152.6, align 8
  %.155.not.6 = icmp eq i64 %.153.6, %arg.n.fr
  br i1 %.155.not.6, label %B162.6, label %B557.6

B162.6:
  %.159.6 = add i64 %.142.us, 248
  %.160.6 = inttoptr i64 %.159.6 to ptr
  %.161.6 = load i64, ptr %.160.6, align 8
  %.163.not.6 = icmp eq i64 %.161.6, %arg.key
  br i1 %.163.not.6, label %common.ret, label %B557.6

B557.6:
  %.145.7 = add nsw i64 %.142.us, 280
  %.152.7 = inttoptr i64 %.145.7 to ptr
  %.153.7 = load i64, ptr %.152.7, align 8
  %.155.not.7 = icmp eq i64 %.153.7, %arg.n.fr
  br i1 %.155.not.7, label %B162.7, label %B557.7

B162.7:
  %.159.7 = add i64 %.142.us, 288
  %.160.7 = inttoptr i64 %.159.7 to ptr
  %.161.7 = load i64, ptr %.160.7, align 8
  %.163.not.7 = icmp eq i64 %.161.7, %arg.key
  br i1 %.163.not.7, label %common.ret, label %B557.7

B557.7:
  %.145.8 = add nsw i64 %.142.us, 320
  %.152.8 = inttoptr i64 %.145.8 to ptr
  %.153.8 = load i64, ptr %.152.8, align 8
  %.155.not.8 = icmp eq i64 %.153.8, %arg.n.fr
  br i1 %.155.not.8, label %B162.8, label %B557.8

B162.8:
  %.159.8 = add i64 %.142.us, 328
  %.160.8 = inttoptr i64 %.159.8 to ptr
  %.161.8 = load i64, ptr %.160.8, align 8
  %.163.not.8 = icmp eq i64 %.161.8, %arg.key
  br i1 %.163.not.8, label %common.ret, label %B557.8

B557.8:
  %.145.9 = add nsw i64 %.142.us, 360
  %.152.9 = inttoptr i64 %.145.9 to ptr
  %.153.9 = load i64, ptr %.152.9, align 8
  %.155.not.9 = icmp eq i64 %.153.9, %arg.n.fr
  br i1 %.155.not.9, label %B162.9, label %B557.9

B162.9:
  %.159.9 = add i64 %.142.us, 368
  %.160.9 = inttoptr i64 %.159.9 to ptr
  %.161.9 = load i64, ptr %.160.9, align 8
  %.163.not.9 = icmp eq i64 %.161.9, %arg.key
  br i1 %.163.not.9, label %common.ret, label %B557.9

B557.9:
  %.145.10 = add nsw i64 %.142.us, 400
  %.152.10 = inttoptr i64 %.145.10 to ptr
  %.153.10 = load i64, ptr %.152.10, align 8
  %.155.not.10 = icmp eq i64 %.153.10, %arg.n.fr
  br i1 %.155.not.10, label %B162.10, label %B557.10

B162.10:
  %.159.10 = add i64 %.142.us, 408
  %.160.10 = inttoptr i64 %.159.10 to ptr
  %.161.10 = load i64, ptr %.160.10, align 8
  %.163.not.10 = icmp eq i64 %.161.10, %arg.key
  br i1 %.163.not.10, label %common.ret, label %B557.10

B557.10:
  %.145.11 = add nsw i64 %.142.us, 440
  %.152.11 = inttoptr i64 %.145.11 to ptr
  %.153.11 = load i64, ptr %.152.11, align 8
  %.155.not.11 = icmp eq i64 %.153.11, %arg.n.fr
  br i1 %.155.not.11, label %B162.11, label %B557.11

B162.11:
  %.159.11 = add i64 %.142.us, 448
  %.160.11 = inttoptr i64 %.159.11 to ptr
  %.161.11 = load i64, ptr %.160.11, align 8
  %.163.not.11 = icmp eq i64 %.161.11, %arg.key
  br i1 %.163.not.11, label %common.ret, label %B557.11

B557.11:
  %.145.12 = add nsw i64 %.142.us, 480
  %.152.12 = inttoptr i64 %.145.12 to ptr
  %.153.12 = load i64, ptr %.152.12, align 8
  %.155.not.12 = icmp eq i64 %.153.12, %arg.n.fr
  br i1 %.155.not.12, label %B162.12, label %B557.12

B162.12:
  %.159.12 = add i64 %.142.us, 488
  %.160.12 = inttoptr i64 %.159.12 to ptr
  %.161.12 = load i64, ptr %.160.12, align 8
  %.163.not.12 = icmp eq i64 %.161.12, %arg.key
  br i1 %.163.not.12, label %common.ret, label %B557.12

B557.12:
  %.145.13 = add nsw i64 %.142.us, 520
  %.152.13 = inttoptr i64 %.145.13 to ptr
  %.153.13 = load i64, ptr %.152.13, align 8
  %.155.not.13 = icmp eq i64 %.153.13, %arg.n.fr
  br i1 %.155.not.13, label %B162.13, label %B556

B162.13:
  %.159.13 = add i64 %.142.us, 528
  %.160.13 = inttoptr i64 %.159.13 to ptr
  %.161.13 = load i64, ptr %.160.13, align 8
  %.163.not.13 = icmp eq i64 %.161.13, %arg.key
  br i1 %.163.not.13, label %common.ret, label %B556
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal i32 @skip_nested.8(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s) {
B0:
  %.3087 = icmp slt i64 %arg.i, %arg.hi
  br i1 %.3087, label %B20.outer.preheader, label %common.ret

B20.outer.preheader:
  br label %B20.outer

B20.outer:
  %i.6.1.ph = phi i64 [ %.220, %B338 ], [ %arg.i, %B20.outer.preheader ]
  %depth.3.1.ph = phi i64 [ %depth.5.2, %B338 ], [ 1, %B20.outer.preheader ]
  br label %B20

B20:
  %i.6.1 = phi i64 [ %.64, %B62 ], [ %i.6.1.ph, %B20.outer ]
  %.38 = inttoptr i64 %i.6.1 to ptr
  %.39 = load <32 x i8>, ptr %.38, align 1
  %.40 = or <32 x i8> %.39, <i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32, i8 32>
  %.41 = icmp eq <32 x i8> %.40, <i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123, i8 123>
  %.42 = icmp eq <32 x i8> %.40, <i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125, i8 125>
  %.43 = or <32 x i1> %.41, %.42
  %.44 = icmp eq <32 x i8> %.39, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.45 = or <32 x i1> %.44, %.43
  %.46 = bitcast <32 x i1> %.45 to i32
  %.54 = icmp eq i32 %.46, 0
  br i1 %.54, label %B62, label %B74

B62:
  %.64 = add i64 %i.6.1, 32
  %.30 = icmp slt i64 %.64, %arg.hi
  br i1 %.30, label %B20, label %common.ret

B74:
  %0 = tail call i32 @llvm.cttz.i32(i32 %.46, i1 true)
  %.71 = zext i32 %0 to i64
  %1 = add i64 %.71, %i.6.1
  %.83.not = icmp slt i64 %1, %arg.hi
  br i1 %.83.not, label %B136, label %common.ret

common.ret:
  %.sink = phi i64 [ -1, %B0 ], [ %23, %B328 ], [ -1, %B320.i ], [ -1, %B62 ], [ -1, %B58.i ], [ -1, %B70.i ], [ -1, %B184.i ], [ -1, %B74 ], [ -1, %B188 ], [ -1, %B338 ], [ -1, %B188.endif ]
  store i64 %.sink, ptr %retptr, align 8
  ret i32 0

B136:
  %.96 = inttoptr i64 %1 to ptr
  %.97 = load i8, ptr %.96, align 1
  %.103 = icmp eq i8 %.97, 34
  br i1 %.103, label %B188, label %B256

B188:
  %2 = add i64 %.71, %i.6.1
  %3 = add i64 %2, 1
  %.2160.i = icmp slt i64 %3, %arg.hi
  br i1 %.2160.i, label %B16.i.preheader, label %common.ret

B16.i.preheader:
  br label %B16.i

B16.i:
  %i.6.1.i = phi i64 [ %3, %B16.i.preheader ], [ %.47.i, %B58.i ], [ %i.7.2.i, %B320.i ]
  %.29.i = inttoptr i64 %i.6.1.i to ptr
  %.30.i = load <32 x i8>, ptr %.29.i, align 1
  %.31.i = icmp eq <32 x i8> %.30.i, <i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34, i8 34>
  %.32.i = icmp eq <32 x i8> %.30.i, <i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92, i8 92>
  %.33.i = or <32 x i1> %.31.i, %.32.i
  %.34.i = bitcast <32 x i1> %.33.i to i32
  %.42.i = icmp eq i32 %.34.i, 0
  br i1 %.42.i, label %B58.i, label %B70.i

B58.i:
  %.47.i = add nsw i64 %i.6.1.i, 32
  %.21.i = icmp slt i64 %.47.i, %arg.hi
  br i1 %.21.i, label %B16.i, label %common.ret

B70.i:
  %4 = tail call i32 @llvm.cttz.i32(i32 %.34.i, i1 true)
  %.54.i = zext i32 %4 to i64
  %.58.i = add nsw i64 %i.6.1.i, %.54.i
  %.66.not.i = icmp slt i64 %.58.i, %arg.hi
  br i1 %.66.not.i, label %B132.i, label %common.ret

B132.i:
  %.77.i = inttoptr i64 %.58.i to ptr
  %.78.i = load i8, ptr %.77.i, align 1
  %.80.i = icmp eq i8 %.78.i, 34
  br i1 %.80.i, label %B188.endif, label %B184.i

B184.i:
  %.92.i = add nsw i64 %.58.i, 1
  %.94.not.i = icmp slt i64 %.92.i, %arg.hi
  br i1 %.94.not.i, label %B216.i, label %common.ret

B216.i:
  %.11.i.i = inttoptr i64 %.92.i to ptr
  %.12.i.i = load i8, ptr %.11.i.i, align 1
  %5 = zext i8 %.12.i.i to i32
  switch i32 %5, label %B266.i [
    i32 34, label %B254.i
    i32 92, label %B254.i
    i32 47, label %B254.i
    i32 98, label %B254.i
    i32 102, label %B254.i
    i32 110, label %B254.i
    i32 114, label %B254.i
    i32 116, label %B254.i
    i32 117, label %B186.i.i
  ]

B186.i.i:
  %.56.i.i = add i64 %.58.i, 5
  %.58.not.i.i = icmp slt i64 %.56.i.i, %arg.hi
  br i1 %.58.not.i.i, label %B208.endif.endif.i.i, label %B266.i

B316.i.i:
  %6 = or i8 %.195.i.i, 32
  %7 = add i8 %6, -97
  %or.cond.i.i = icmp ult i8 %7, 6
  br i1 %or.cond.i.i, label %B388.i.i, label %B266.i

B388.i.i:
  %.1628488.1.i.i = add i64 %.58.i, 3
  %.194.1.i.i = inttoptr i64 %.1628488.1.i.i to ptr
  %.195.1.i.i = load i8, ptr %.194.1.i.i, align 1
  %8 = add i8 %.195.1.i.i, -48
  %spec.select.i.i.i = icmp ult i8 %8, 10
  br i1 %spec.select.i.i.i, label %B388.1.i.i, label %B316.1.i.i

B316.1.i.i:
  %9 = or i8 %.195.1.i.i, 32
  %10 = add i8 %9, -97
  %or.cond.1.i.i = icmp ult i8 %10, 6
  br i1 %or.cond.1.i.i, label %B388.1.i.i, label %B266.i

B388.1.i.i:
  %.1628488.2.i.i = add i64 %.58.i, 4
  %.194.2.i.i = inttoptr i64 %.1628488.2.i.i to ptr
  %.195.2.i.i = load i8, ptr %.194.2.i.i, align 1
  %11 = add i8 %.195.2.i.i, -48
  %spec.select.i1.i.i = icmp ult i8 %11, 10
  br i1 %spec.select.i1.i.i, label %B388.2.i.i, label %B316.2.i.i

B316.2.i.i:
  %12 = or i8 %.195.2.i.i, 32
  %13 = add i8 %12, -97
  %or.cond.2.i.i = icmp ult i8 %13, 6
  br i1 %or.cond.2.i.i, label %B388.2.i.i, label %B266.i

B388.2.i.i:
  %.194.3.i.i = inttoptr i64 %.56.i.i to ptr
  %.195.3.i.i = load i8, ptr %.194.3.i.i, align 1
  %14 = add i8 %.195.3.i.i, -58
  %spec.select.i3.i.i = icmp ult i8 %14, -10
  br i1 %spec.select.i3.i.i, label %B316.3.i.i, label %B254.i

B316.3.i.i:
  %15 = or i8 %.195.3.i.i, 32
  %16 = add i8 %15, -97
  %or.cond.3.i.i = icmp ult i8 %16, 6
  br i1 %or.cond.3.i.i, label %B254.i, label %B266.i

B208.endif.endif.i.i:
  %.1628488.i.i = add nsw i64 %.58.i, 2
  %.194.i.i = inttoptr i64 %.1628488.i.i to ptr
  %.195.i.i = load i8, ptr %.194.i.i, align 1
  %17 = add i8 %.195.i.i, -48
  %spec.select.i5.i.i = icmp ult i8 %17, 10
  br i1 %spec.select.i5.i.i, label %B388.i.i, label %B316.i.i

B254.i:
  %.145.i = add nsw i64 %.58.i, 2
  br label %B320.i

B266.i:
  %18 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %18, align 8
  br label %B320.i

B320.i:
  %i.7.2.i = phi i64 [ %.145.i, %B254.i ], [ %.92.i, %B266.i ]
  %.169.i = icmp slt i64 %i.7.2.i, %arg.hi
  br i1 %.169.i, label %B16.i, label %common.ret

B256:
  %19 = and i8 %.97, -33
  %.173 = icmp eq i8 %19, 91
  br i1 %.173, label %B294, label %B306

B294:
  %.181 = add nsw i64 %depth.3.1.ph, 1
  br label %B338

B306:
  %.191 = add nsw i64 %depth.3.1.ph, -1
  %.196 = icmp eq i64 %.191, 0
  br i1 %.196, label %B328, label %B338

B328:
  %20 = trunc i64 %.71 to i32
  %21 = zext i32 %20 to i64
  %22 = add i64 %21, %i.6.1
  %23 = add i64 %22, 1
  br label %common.ret

B338:
  %i.7.2 = phi i64 [ %.58.i, %B188.endif ], [ %1, %B294 ], [ %1, %B306 ]
  %depth.5.2 = phi i64 [ %depth.3.1.ph, %B188.endif ], [ %.181, %B294 ], [ %.191, %B306 ]
  %.220 = add nsw i64 %i.7.2, 1
  %.226 = icmp slt i64 %.220, %arg.hi
  br i1 %.226, label %B20.outer, label %common.ret

B188.endif:
  %.144 = icmp slt i64 %.58.i, 0
  br i1 %.144, label %common.ret, label %B338
}

define internal i32 @skip_bare.9(ptr %retptr, ptr %excinfo, i64 %arg.i, i64 %arg.hi, i64 %arg.s, i8 %arg.signed) {
entry:
  %.35 = icmp slt i64 %arg.i, %arg.hi
  br i1 %.35, label %B20, label %B322

B20:
  %.40 = inttoptr i64 %arg.i to ptr
  %.41 = load i8, ptr %.40, align 1
  %0 = or i8 %.41, 32
  %1 = add i8 %0, -97
  %or.cond = icmp ult i8 %1, 26
  %.76 = icmp eq i8 %.41, 47
  %or.cond137 = or i1 %.76, %or.cond
  br i1 %or.cond137, label %B160.preheader, label %B322

B160.preheader:
  %2 = add nsw i64 %arg.hi, -1
  br label %B160

B160:
  %i.2.1 = phi i64 [ %.81, %B182 ], [ %arg.i, %B160.preheader ]
  %exitcond.not = icmp eq i64 %2, %i.2.1
  br i1 %exitcond.not, label %common.ret, label %B182

B182:
  %.81 = add i64 %i.2.1, 1
  %.97 = inttoptr i64 %.81 to ptr
  %.98 = load i8, ptr %.97, align 1
  %3 = or i8 %.98, 32
  %4 = add i8 %3, -97
  %or.cond138 = icmp ult i8 %4, 26
  %.122 = icmp eq i8 %.98, 47
  %or.cond139 = or i1 %.122, %or.cond138
  br i1 %or.cond139, label %B160, label %B322

B322:
  %i.3.0 = phi i64 [ %arg.i, %B20 ], [ %arg.i, %entry ], [ %.81, %B182 ]
  %.132.not = icmp slt i64 %i.3.0, %arg.hi
  br i1 %.132.not, label %B348, label %common.ret

common.ret:
  %.sink = phi i64 [ %i.3.0, %B396.endif ], [ %i.3.0, %B882 ], [ -2, %B348 ], [ -1, %B322 ], [ -2, %B794 ], [ %i.3.0, %B454 ], [ %i.3.0, %B454 ], [ %i.3.0, %B454 ], [ %i.3.0, %B454 ], [ -2, %B546.endif ], [ -1, %B160 ]
  store i64 %.sink, ptr %retptr, align 8
  ret i32 0

B348:
  %.148 = sub nsw i64 %i.3.0, %arg.i
  %.153 = icmp eq i64 %i.3.0, %arg.i
  %.156 = icmp sgt i64 %.148, 8
  %or.cond140 = or i1 %.153, %.156
  br i1 %or.cond140, label %common.ret, label %B396

B396:
  %.11.i = icmp sgt i64 %.148, 7
  br i1 %.11.i, label %B396.endif, label %B46.i

B46.i:
  %.23.i = icmp slt i64 %.148, 1
  br i1 %.23.i, label %B450, label %B98.i

B98.i:
  %.32.i = inttoptr i64 %arg.i to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.37.i = shl nuw nsw i64 %.148, 3
  %.40.i = sub nuw nsw i64 64, %.37.i
  %.41.i = lshr i64 -1, %.40.i
  %.42.i = and i64 %.33.i, %.41.i
  br label %B450

B450:
  %.42.sink.i3 = phi i64 [ %.17.i, %B396.endif ], [ 0, %B46.i ], [ %.42.i, %B98.i ]
  %5 = icmp eq i8 %arg.signed, 0
  br i1 %5, label %B454, label %B546.endif

B454:
  switch i64 %.42.sink.i3, label %B546.endif [
    i64 1702195828, label %common.ret
    i64 435728179558, label %common.ret
    i64 1819047278, label %common.ret
    i64 5136718, label %common.ret
  ]

B618:
  %lsr.iv2 = phi i64 [ %16, %B618.preheader.new ], [ %lsr.iv.next, %B618 ]
  %lsr.iv6 = phi i64 [ 8, %B618.preheader.new ], [ %lsr.iv.next7, %B618 ]
  %lsr.iv = phi i64 [ %arg.i, %B618.preheader.new ], [ %10, %B618 ]
  %lower.2.0147 = phi i64 [ 0, %B618.preheader.new ], [ %.412.1, %B618 ]
  %.369 = inttoptr i64 %lsr.iv to ptr
  %.370 = load i8, ptr %.369, align 1
  %promoted = zext i8 %.370 to i64
  %6 = or i64 %promoted, 32
  %7 = add i64 %lsr.iv6, -8
  %.410 = shl i64 %6, %7
  %.412 = or i64 %.410, %lower.2.0147
  %8 = add i64 %lsr.iv, 1
  %.369.1 = inttoptr i64 %8 to ptr
  %.370.1 = load i8, ptr %.369.1, align 1
  %promoted3 = zext i8 %.370.1 to i64
  %9 = or i64 %promoted3, 32
  %.410.1 = shl i64 %9, %lsr.iv6
  %.412.1 = or i64 %.412, %.410.1
  %lsr.iv.next7 = add i64 %lsr.iv6, 16
  %lsr.iv.next = add i64 %lsr.iv2, 2
  %niter.ncmp.1 = icmp eq i64 %lsr.iv.next, 0
  %10 = add i64 %8, 1
  br i1 %niter.ncmp.1, label %B794.unr-lcssa, label %B618

B794.unr-lcssa:
  %11 = and i64 %.148, 1
  %lcmp.mod.not = icmp eq i64 %11, 0
  br i1 %lcmp.mod.not, label %B794, label %B618.epil.preheader

B618.epil.preheader:
  %lower.2.0147.epil.init = phi i64 [ 0, %B618.preheader ], [ %.412.1, %B794.unr-lcssa ]
  %.331143145.epil.init = phi i64 [ 0, %B618.preheader ], [ %14, %B794.unr-lcssa ]
  %.368.epil = add nsw i64 %.331143145.epil.init, %arg.i
  %.369.epil = inttoptr i64 %.368.epil to ptr
  %.370.epil = load i8, ptr %.369.epil, align 1
  %promoted4 = zext i8 %.370.epil to i64
  %12 = or i64 %promoted4, 32
  %.407.epil = shl nsw i64 %.331143145.epil.init, 3
  %.410.epil = shl i64 %12, %.407.epil
  %.412.epil = or i64 %.410.epil, %lower.2.0147.epil.init
  br label %B794

B794:
  %.412.lcssa = phi i64 [ %.412.1, %B794.unr-lcssa ], [ %.412.epil, %B618.epil.preheader ]
  switch i64 %.412.lcssa, label %common.ret [
    i64 7233902, label %B882
    i64 6712937, label %B882
    i64 8751735898823356009, label %B882
    i64 6369134, label %B882
  ]

B882:
  %.443 = inttoptr i64 %arg.s to ptr
  store i64 1, ptr %.443, align 8
  br label %common.ret

B396.endif:
  %.16.i = inttoptr i64 %arg.i to ptr
  %.17.i = load i64, ptr %.16.i, align 1
  %.203 = icmp eq i64 %.17.i, 8751735898823355977
  br i1 %.203, label %common.ret, label %B450

B546.endif:
  %..148 = tail call i64 @llvm.smax.i64(i64 %.148, i64 0)
  %.325144.not = icmp eq i64 %..148, 0
  br i1 %.325144.not, label %common.ret, label %B618.preheader

B618.preheader:
  %.neg = add i64 %arg.i, 1
  %13 = icmp eq i64 %i.3.0, %.neg
  br i1 %13, label %B618.epil.preheader, label %B618.preheader.new

B618.preheader.new:
  %14 = and i64 %.148, -2
  %15 = lshr i64 %.148, 1
  %16 = mul i64 %15, -2
  br label %B618
}

declare i64 @llvm.smax.i64(i64, i64)

define internal i32 @take.3(ptr %retptr, ptr %excinfo, i64 %arg.s) {
B0:
  %.27 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  %.190 = alloca i64, align 8
  store i64 0, ptr %.190, align 8
  %excinfo.5 = alloca ptr, align 8
  store ptr null, ptr %excinfo.5, align 8
  %.236 = alloca i64, align 8
  store i64 0, ptr %.236, align 8
  %excinfo.6 = alloca ptr, align 8
  store ptr null, ptr %excinfo.6, align 8
  %.9 = add i64 %arg.s, 8
  %.10 = inttoptr i64 %.9 to ptr
  %.11 = load i64, ptr %.10, align 8
  switch i64 %.11, label %B714.endif [
    i64 88, label %B102
    i64 77, label %B548
    i64 115, label %B602
  ]

B102:
  store i64 0, ptr %.27, align 8
  %.31 = call i32 @kind.13(ptr nonnull %.27, ptr nonnull %excinfo.1, i64 %arg.s)
  %.41 = load i64, ptr %.27, align 8
  %cond = icmp eq i32 %.31, 0
  br i1 %cond, label %B102.endif, label %B102.if.if

B144:
  %.63 = add i64 %arg.s, 120
  %.64 = inttoptr i64 %.63 to ptr
  %.65 = load i64, ptr %.64, align 8
  %.66 = icmp eq i64 %.65, 0
  br i1 %.66, label %B714.endif.thread.sink.split, label %B260

B260:
  %.105 = add i64 %arg.s, 136
  %.106 = inttoptr i64 %.105 to ptr
  %.107 = load i64, ptr %.106, align 8
  %.108 = icmp eq i64 %.107, 0
  br i1 %.108, label %B714.endif.thread.sink.split, label %B376

B376:
  %.146 = add i64 %arg.s, 128
  %.147 = inttoptr i64 %.146 to ptr
  %.148 = load i64, ptr %.147, align 8
  %.149 = icmp slt i64 %.148, 0
  br i1 %.149, label %B714.endif.thread.sink.split, label %B492

B492:
  store i64 0, ptr %.190, align 8
  %.194 = call i32 @append.14(ptr nonnull %.190, ptr nonnull %excinfo.5, i64 %.41, i64 %arg.s)
  %cond31 = icmp eq i32 %.194, 0
  br i1 %cond31, label %B682, label %B492.if.if

B548:
  %.240 = call i32 @name_thread.15(ptr nonnull %.236, ptr nonnull %excinfo.6, i64 %arg.s)
  %cond32 = icmp eq i32 %.240, 0
  br i1 %cond32, label %B682, label %B548.if.if

B602:
  %.9.i9 = add i64 %arg.s, 16
  %.10.i10 = inttoptr i64 %.9.i9 to ptr
  %.11.i11 = load i64, ptr %.10.i10, align 8
  %.16.i = icmp slt i64 %.11.i11, 0
  br i1 %.16.i, label %B714.endif.thread.sink.split, label %B72.i

B72.i:
  %.26.i = add i64 %arg.s, 24
  %.27.i = inttoptr i64 %.26.i to ptr
  %.28.i = load i64, ptr %.27.i, align 8
  %.32.i = sub nsw i64 %.28.i, %.11.i11
  %.11.i.i = icmp sgt i64 %.32.i, 7
  br i1 %.11.i.i, label %B16.i.i, label %B46.i.i

B16.i.i:
  %.16.i.i = inttoptr i64 %.11.i11 to ptr
  %.17.i.i = load i64, ptr %.16.i.i, align 1
  br label %B72.endif.i

B46.i.i:
  %.23.i.i = icmp slt i64 %.32.i, 1
  br i1 %.23.i.i, label %B72.endif.i, label %B98.i.i

B98.i.i:
  %.32.i.i = inttoptr i64 %.11.i11 to ptr
  %.33.i.i = load i64, ptr %.32.i.i, align 1
  %.37.i.i = shl nuw nsw i64 %.32.i, 3
  %.40.i.i = sub nuw nsw i64 64, %.37.i.i
  %.41.i.i = lshr i64 -1, %.40.i.i
  %.42.i.i = and i64 %.33.i.i, %.41.i.i
  br label %B72.endif.i

B174.i:
  %.74.i = icmp eq i64 %.42.sink.i.i, 1731355489
  br i1 %.74.i, label %B714.endif.thread.sink.split, label %B272.i

B208.i:
  %.85.i = icmp eq i64 %.42.sink.i.i, 8098421435602137953
  br i1 %.85.i, label %B714.endif.thread.sink.split, label %B272.i

B242.i:
  %.97.i = icmp eq i64 %.42.sink.i.i, 8099547335508980577
  br i1 %.97.i, label %B714.endif.thread.sink.split, label %B272.i

B272.i:
  br label %B714.endif.thread.sink.split

B72.endif.i:
  %.42.sink.i.i = phi i64 [ %.42.i.i, %B98.i.i ], [ %.17.i.i, %B16.i.i ], [ 0, %B46.i.i ]
  switch i64 %.32.i, label %B272.i [
    i64 4, label %B174.i
    i64 16, label %B208.i
    i64 9, label %B242.i
  ]

B682:
  %stop.3.0.in = phi ptr [ %.190, %B492 ], [ %.236, %B548 ]
  %stop.3.0 = load i64, ptr %stop.3.0.in, align 8
  %.330 = icmp eq i64 %stop.3.0, 0
  br i1 %.330, label %B714.endif.thread, label %B882

B828:
  %.8.i16 = add i64 %arg.s, 528
  %.9.i17 = inttoptr i64 %.8.i16 to ptr
  %.10.i18 = load i64, ptr %.9.i17, align 8
  %.11.i19 = add nsw i64 %.10.i18, 1
  store i64 %.11.i19, ptr %.9.i17, align 8
  br label %B882

common.ret:
  %common.ret.op = phi i32 [ 0, %B882 ], [ %.31, %B102.if.if ], [ %.240, %B548.if.if ], [ %.194, %B492.if.if ]
  ret i32 %common.ret.op

B882:
  %stop.3.068 = phi i64 [ %stop.3.0, %B682 ], [ 0, %B714.endif ], [ 0, %B828 ]
  store i64 %stop.3.068, ptr %retptr, align 8
  br label %common.ret

B102.endif:
  %.57 = icmp sgt i64 %.41, -1
  br i1 %.57, label %B144, label %B714.endif.thread

B102.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B492.if.if:
  %.202 = icmp sgt i32 %.194, 0
  %.195 = load ptr, ptr %excinfo.5, align 8
  %.203 = select i1 %.202, ptr %.195, ptr undef
  store ptr %.203, ptr %excinfo, align 8
  br label %common.ret

B548.if.if:
  %.248 = icmp sgt i32 %.240, 0
  %.241 = load ptr, ptr %excinfo.6, align 8
  %.249 = select i1 %.248, ptr %.241, ptr undef
  store ptr %.249, ptr %excinfo, align 8
  br label %common.ret

B714.endif.thread.sink.split:
  %.sink34 = phi i64 [ 560, %B376 ], [ 544, %B144 ], [ 552, %B260 ], [ 568, %B272.i ], [ 568, %B242.i ], [ 568, %B208.i ], [ 568, %B174.i ], [ 568, %B602 ]
  %.sink = phi i64 [ 1, %B376 ], [ 1, %B144 ], [ 1, %B260 ], [ 0, %B272.i ], [ 1, %B242.i ], [ 1, %B208.i ], [ 1, %B174.i ], [ 0, %B602 ]
  %.8.i = add i64 %.sink34, %arg.s
  %.9.i = inttoptr i64 %.8.i to ptr
  %.10.i = load i64, ptr %.9.i, align 8
  %.11.i = add nsw i64 %.10.i, %.sink
  store i64 %.11.i, ptr %.9.i, align 8
  br label %B714.endif.thread

B714.endif.thread:
  %.33624 = inttoptr i64 %arg.s to ptr
  %.33725 = load i64, ptr %.33624, align 8
  %.8.i1226 = add i64 %arg.s, 536
  %.9.i1327 = inttoptr i64 %.8.i1226 to ptr
  %.10.i1428 = load i64, ptr %.9.i1327, align 8
  %.11.i1529 = add nsw i64 %.10.i1428, %.33725
  store i64 %.11.i1529, ptr %.9.i1327, align 8
  br label %B828

B714.endif:
  %.336 = inttoptr i64 %arg.s to ptr
  %.337 = load i64, ptr %.336, align 8
  %.8.i12 = add i64 %arg.s, 536
  %.9.i13 = inttoptr i64 %.8.i12 to ptr
  %.10.i14 = load i64, ptr %.9.i13, align 8
  %.11.i15 = add nsw i64 %.10.i14, %.337
  store i64 %.11.i15, ptr %.9.i13, align 8
  %.364.not = icmp eq i64 %.11, 0
  br i1 %.364.not, label %B882, label %B828
}

define internal i32 @kind.13(ptr %retptr, ptr %excinfo, i64 %arg.s) {
B0:
  %.9 = add i64 %arg.s, 16
  %.10 = inttoptr i64 %.9 to ptr
  %.11 = load i64, ptr %.10, align 8
  %.17 = add i64 %arg.s, 24
  %.18 = inttoptr i64 %.17 to ptr
  %.19 = load i64, ptr %.18, align 8
  %.21 = sub nsw i64 %.19, %.11
  %.21.fr = freeze i64 %.21
  %.26 = icmp slt i64 %.11, 0
  %.29 = icmp sgt i64 %.21.fr, 24
  %or.cond = or i1 %.26, %.29
  br i1 %or.cond, label %common.ret, label %B178

common.ret:
  %.sink = phi i64 [ -1, %B0 ], [ %.466, %B830 ], [ -1, %B871.us.us ], [ -1, %B871.us ], [ -1, %B178.endif.endif ], [ -1, %B871 ]
  store i64 %.sink, ptr %retptr, align 8
  ret i32 0

B178:
  %.11.i = icmp sgt i64 %.21.fr, 7
  br i1 %.11.i, label %B16.i, label %B46.i

B16.i:
  %.16.i = inttoptr i64 %.11 to ptr
  %.17.i = load i64, ptr %.16.i, align 1
  br label %B178.endif.endif

B46.i:
  %.23.i = icmp slt i64 %.21.fr, 1
  br i1 %.23.i, label %B178.endif.endif, label %B98.i

B98.i:
  %.32.i = inttoptr i64 %.11 to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.37.i = shl nuw nsw i64 %.21.fr, 3
  %.40.i = sub nuw nsw i64 64, %.37.i
  %.41.i = lshr i64 -1, %.40.i
  %.42.i = and i64 %.33.i, %.41.i
  br label %B178.endif.endif

B344:
  %lsr.iv96 = phi i64 [ %lsr.iv.next97, %B871 ], [ %.76, %B344.preheader ]
  %lsr.iv94 = phi i64 [ %lsr.iv.next95, %B871 ], [ %.199.us, %B344.preheader ]
  %.208 = inttoptr i64 %lsr.iv94 to ptr
  %.209 = load i64, ptr %.208, align 8
  %.211.not = icmp eq i64 %.209, %.21.fr
  br i1 %.211.not, label %B450, label %B871

B450:
  %0 = add i64 %lsr.iv94, 8
  %.216 = inttoptr i64 %0 to ptr
  %.217 = load i64, ptr %.216, align 8
  %.219.not = icmp eq i64 %.217, %.68
  br i1 %.219.not, label %B830, label %B871

B830:
  %.us-phi135 = phi i64 [ %lsr.iv89, %B492.us ], [ %.201.us.us, %B818.us.us ], [ %lsr.iv94, %B450 ]
  %.464 = add i64 %.us-phi135, 32
  %.465 = inttoptr i64 %.464 to ptr
  %.466 = load i64, ptr %.465, align 8
  br label %common.ret

B871:
  %lsr.iv.next95 = add i64 %lsr.iv94, 40
  %lsr.iv.next97 = add i64 %lsr.iv96, -1
  %exitcond.not = icmp eq i64 %lsr.iv.next97, 0
  br i1 %exitcond.not, label %common.ret, label %B344

B178.endif.endif:
  %.42.sink.i = phi i64 [ %.42.i, %B98.i ], [ %.17.i, %B16.i ], [ 0, %B46.i ]
  %const = bitcast i64 2314885530818453536 to i64
  %.68 = or i64 %.42.sink.i, %const
  %.74 = add i64 %arg.s, 632
  %.75 = inttoptr i64 %.74 to ptr
  %.76 = load i64, ptr %.75, align 8
  %.157124.not = icmp slt i64 %.76, 1
  br i1 %.157124.not, label %common.ret, label %B344.lr.ph

B344.lr.ph:
  %.233 = icmp sgt i64 %.21.fr, 8
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr99 = getelementptr i8, ptr %sunkaddr, i64 624
  %.199.us = load i64, ptr %sunkaddr99, align 8
  br i1 %.233, label %B344.us.preheader, label %B344.preheader

B344.preheader:
  br label %B344

B344.us.preheader:
  %.11.i1 = icmp ugt i64 %.21.fr, 15
  %.248 = shl nuw nsw i64 %.21.fr, 3
  %.40.i8 = sub nsw i64 128, %.248
  %.41.i9 = lshr i64 -1, %.40.i8
  br i1 %.11.i1, label %B344.us.us.preheader, label %B344.us.preheader8

B344.us.preheader8:
  br label %B344.us

B344.us.us.preheader:
  %1 = add i64 %.199.us, 24
  %2 = sub nuw nsw i64 192, %.248
  %3 = add nsw i64 %.21.fr, -16
  br label %B344.us.us

B344.us.us:
  %lsr.iv = phi i64 [ %1, %B344.us.us.preheader ], [ %lsr.iv.next, %B871.us.us ]
  %.163121125.us.us = phi i64 [ 0, %B344.us.us.preheader ], [ %.170.us.us, %B871.us.us ]
  %.170.us.us = add nuw nsw i64 %.163121125.us.us, 1
  %.200.us.us = mul nuw nsw i64 %.163121125.us.us, 40
  %.201.us.us = add nsw i64 %.200.us.us, %.199.us
  %.208.us.us = inttoptr i64 %.201.us.us to ptr
  %.209.us.us = load i64, ptr %.208.us.us, align 8
  %.211.not.us.us = icmp eq i64 %.209.us.us, %.21.fr
  br i1 %.211.not.us.us, label %B450.us.us, label %B871.us.us

B450.us.us:
  %.215.us.us = add i64 %.201.us.us, 8
  %.216.us.us = inttoptr i64 %.215.us.us to ptr
  %.217.us.us = load i64, ptr %.216.us.us, align 8
  %.219.not.us.us = icmp eq i64 %.217.us.us, %.68
  br i1 %.219.not.us.us, label %B492.us.us, label %B871.us.us

B492.us.us:
  %sunkaddr60 = inttoptr i64 %.11 to ptr
  %sunkaddr61 = getelementptr i8, ptr %sunkaddr60, i64 8
  %.17.i14.us = load i64, ptr %sunkaddr61, align 1
  %.273.us.us = or i64 %.17.i14.us, %const
  %.322.us.us = add i64 %.201.us.us, 16
  %.323.us.us = inttoptr i64 %.322.us.us to ptr
  %.324.us.us = load i64, ptr %.323.us.us, align 8
  %.325.us.us = icmp eq i64 %.273.us.us, %.324.us.us
  br i1 %.325.us.us, label %B652.us.us.preheader, label %B818.us.us

B652.us.us.preheader:
  br label %B652.us.us

B652.us.us:
  %lsr.iv87 = phi i64 [ %lsr.iv.next88, %B674.us.us ], [ %3, %B652.us.us.preheader ]
  %lsr.iv85 = phi i64 [ %lsr.iv.next86, %B674.us.us ], [ %2, %B652.us.us.preheader ]
  %lsr.iv83 = phi i64 [ %lsr.iv.next84, %B674.us.us ], [ 16, %B652.us.us.preheader ]
  %.342.us.us = icmp slt i64 %lsr.iv83, %.21.fr
  br i1 %.342.us.us, label %B674.us.us, label %B818.us.us

B674.us.us:
  %4 = inttoptr i64 %lsr.iv to ptr
  %5 = add i64 %.11, %lsr.iv83
  %.11.i16.us = icmp sgt i64 %lsr.iv87, 7
  %.16.i28.us = inttoptr i64 %5 to ptr
  %.17.i29.us = load i64, ptr %.16.i28.us, align 1
  %.41.i24.us = lshr i64 -1, %lsr.iv85
  %.42.i25.us = select i1 %.11.i16.us, i64 -2314885530818453537, i64 %.41.i24.us
  %.42.sink.i26.us = and i64 %.17.i29.us, %.42.i25.us
  %.381.us.us = or i64 %.42.sink.i26.us, %const
  %sunkaddr56 = getelementptr i8, ptr %4, i64 %lsr.iv83
  %sunkaddr57 = getelementptr i8, ptr %sunkaddr56, i64 -16
  %.432.us.us = load i64, ptr %sunkaddr57, align 8
  %.433.us.us = icmp eq i64 %.381.us.us, %.432.us.us
  %lsr.iv.next84 = add nuw nsw i64 %lsr.iv83, 8
  %lsr.iv.next86 = add i64 %lsr.iv85, 64
  %lsr.iv.next88 = add i64 %lsr.iv87, -8
  br i1 %.433.us.us, label %B652.us.us, label %B818.us.us

B818.us.us:
  %at.3.2.us.us = phi i64 [ 8, %B492.us.us ], [ %lsr.iv83, %B652.us.us ], [ %lsr.iv83, %B674.us.us ]
  %.448.not.us.us = icmp slt i64 %at.3.2.us.us, %.21.fr
  br i1 %.448.not.us.us, label %B871.us.us, label %B830

B871.us.us:
  %lsr.iv.next = add i64 %lsr.iv, 40
  %exitcond172.not.us = icmp eq i64 %.76, %.170.us.us
  br i1 %exitcond172.not.us, label %common.ret, label %B344.us.us

B344.us:
  %lsr.iv91 = phi i64 [ %lsr.iv.next92, %B871.us ], [ %.76, %B344.us.preheader8 ]
  %lsr.iv89 = phi i64 [ %lsr.iv.next90, %B871.us ], [ %.199.us, %B344.us.preheader8 ]
  %.208.us = inttoptr i64 %lsr.iv89 to ptr
  %.209.us = load i64, ptr %.208.us, align 8
  %.211.not.us = icmp eq i64 %.209.us, %.21.fr
  br i1 %.211.not.us, label %B450.us, label %B871.us

B450.us:
  %6 = add i64 %lsr.iv89, 8
  %.216.us = inttoptr i64 %6 to ptr
  %.217.us = load i64, ptr %.216.us, align 8
  %.219.not.us = icmp eq i64 %.217.us, %.68
  br i1 %.219.not.us, label %B492.us, label %B871.us

B492.us:
  %sunkaddr62 = inttoptr i64 %.11 to ptr
  %sunkaddr63 = getelementptr i8, ptr %sunkaddr62, i64 8
  %.33.i6 = load i64, ptr %sunkaddr63, align 1
  %.42.i10 = and i64 %.33.i6, %.41.i9
  %.273.us = or i64 %.42.i10, %const
  %7 = add i64 %lsr.iv89, 16
  %.323.us = inttoptr i64 %7 to ptr
  %.324.us = load i64, ptr %.323.us, align 8
  %.325.us = icmp eq i64 %.273.us, %.324.us
  %spec.select = select i1 %.325.us, i64 16, i64 8
  %.448.not.us = icmp slt i64 %spec.select, %.21.fr
  br i1 %.448.not.us, label %B871.us, label %B830

B871.us:
  %lsr.iv.next90 = add i64 %lsr.iv89, 40
  %lsr.iv.next92 = add i64 %lsr.iv91, -1
  %exitcond172.not = icmp eq i64 %lsr.iv.next92, 0
  br i1 %exitcond172.not, label %common.ret, label %B344.us
}

define internal i32 @append.14(ptr %retptr, ptr %excinfo, i64 %arg.kind, i64 %arg.s) {
B0:
  %.149 = alloca i64, align 8
  %excinfo.3 = alloca ptr, align 8
  store ptr null, ptr %excinfo.3, align 8
  %.180 = alloca i64, align 8
  %excinfo.4 = alloca ptr, align 8
  %.321 = alloca i64, align 8
  %excinfo.7 = alloca ptr, align 8
  store ptr null, ptr %excinfo.7, align 8
  %.12 = add i64 %arg.s, 32
  %.13 = inttoptr i64 %.12 to ptr
  %.14 = load i64, ptr %.13, align 8
  %.20 = add i64 %arg.s, 40
  %.21 = inttoptr i64 %.20 to ptr
  %.22 = load i64, ptr %.21, align 8
  %.24 = sub nsw i64 %.22, %.14
  %.29 = icmp slt i64 %.14, 0
  br i1 %.29, label %B126, label %B150

common.ret:
  %common.ret.op = phi i32 [ 0, %B126 ], [ 0, %B534 ], [ 0, %B772 ], [ %.326, %B702.if.if ], [ 0, %B896.endif.endif ], [ %.153, %B308.if.if ], [ %.184, %B308.endif.if.if ]
  ret i32 %common.ret.op

B126:
  store i64 5, ptr %retptr, align 8
  br label %common.ret

B150:
  %.11.i = icmp sgt i64 %.24, 7
  br i1 %.11.i, label %B16.i, label %B46.i

B16.i:
  %.16.i = inttoptr i64 %.14 to ptr
  %.17.i = load i64, ptr %.16.i, align 1
  br label %B150.endif

B46.i:
  %.23.i = icmp slt i64 %.24, 1
  br i1 %.23.i, label %B150.endif, label %B98.i

B98.i:
  %.32.i = inttoptr i64 %.14 to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.37.i = shl nuw nsw i64 %.24, 3
  %.40.i = sub nuw nsw i64 64, %.37.i
  %.41.i = lshr i64 -1, %.40.i
  %.42.i = and i64 %.33.i, %.41.i
  br label %B150.endif

B204:
  %.84 = icmp sgt i64 %.24, 12
  %.90 = icmp eq i64 %.42.sink.i, 8243113892917506640
  %or.cond = select i1 %.84, i1 %.90, i1 false
  br i1 %or.cond, label %B238.endif, label %B308

B308:
  %kind.2.0 = phi i64 [ 0, %B204 ], [ %spec.select106, %B238.endif ], [ %arg.kind, %B150.endif ]
  %.133 = add i64 %arg.s, 512
  %.134 = inttoptr i64 %.133 to ptr
  %.135 = load i64, ptr %.134, align 8
  %.141 = add i64 %arg.s, 592
  %.142 = inttoptr i64 %.141 to ptr
  %.143 = load i64, ptr %.142, align 8
  %.145 = add nsw i64 %.143, %.135
  store i64 0, ptr %.149, align 8
  %.153 = call i32 @lane.16(ptr nonnull %.149, ptr nonnull %excinfo.3, i64 %kind.2.0, i64 %.145, i64 %arg.s)
  %.163 = load i64, ptr %.149, align 8
  %cond = icmp eq i32 %.153, 0
  br i1 %cond, label %B308.endif, label %B308.if.if

B534:
  store i64 3, ptr %retptr, align 8
  br label %common.ret

B558:
  %.232 = icmp eq i64 %.24, 18
  %.240 = icmp eq i64 %.42.sink.i, 8097301097693275506
  %or.cond105 = select i1 %.232, i1 %.240, i1 false
  br i1 %or.cond105, label %B592.endif, label %B702

B702:
  %"$phi702.0.4.0" = phi i8 [ %1, %B648.endif ], [ 0, %B592.endif ], [ 0, %B558 ]
  store i64 0, ptr %.321, align 8
  %.326 = call i32 @details.17(ptr nonnull %.321, ptr nonnull %excinfo.7, i64 %kind.2.0, i8 %"$phi702.0.4.0", i64 %.135, i64 %arg.s)
  %.336 = load i64, ptr %.321, align 8
  %cond13 = icmp eq i32 %.326, 0
  br i1 %cond13, label %B702.endif, label %B702.if.if

B772:
  store i64 %.336, ptr %retptr, align 8
  br label %common.ret

B150.endif:
  %.42.sink.i = phi i64 [ %.42.i, %B98.i ], [ %.17.i, %B16.i ], [ 0, %B46.i ]
  %.78 = icmp eq i64 %arg.kind, 0
  br i1 %.78, label %B204, label %B308

B238.endif:
  %.99 = add nuw nsw i64 %.14, 8
  %.32.i2 = inttoptr i64 %.99 to ptr
  %.33.i3 = load i64, ptr %.32.i2, align 1
  %.42.i4 = and i64 %.33.i3, 1099511627775
  %.124 = icmp eq i64 %.42.i4, 152209552467
  %spec.select106 = select i1 %.124, i64 5, i64 0
  br label %B308

B308.endif:
  store i64 0, ptr %.180, align 8
  %.184 = call i32 @intern.18(ptr nonnull %.180, ptr nonnull %excinfo.4, i64 %.14, i64 %.24, i64 %arg.s, i64 91, i64 %.145)
  %.194 = load i64, ptr %.180, align 8
  %cond12 = icmp eq i32 %.184, 0
  br i1 %cond12, label %B308.endif.endif, label %B308.endif.if.if

B308.if.if:
  %.161 = icmp sgt i32 %.153, 0
  %.154 = load ptr, ptr %excinfo.3, align 8
  %.162 = select i1 %.161, ptr %.154, ptr undef
  store ptr %.162, ptr %excinfo, align 8
  br label %common.ret

B308.endif.endif:
  %.208 = icmp slt i64 %.163, 0
  %.211 = icmp slt i64 %.194, 0
  %or.cond104 = select i1 %.208, i1 true, i1 %.211
  br i1 %or.cond104, label %B534, label %B558

B308.endif.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B592.endif:
  %.248 = add nuw nsw i64 %.14, 8
  %.16.i6 = inttoptr i64 %.248 to ptr
  %.17.i7 = load i64, ptr %.16.i6, align 1
  %.273 = icmp eq i64 %.17.i7, 7885630734057173601
  br i1 %.273, label %B648.endif, label %B702

B648.endif:
  %.279 = add nuw nsw i64 %.14, 16
  %.32.i9 = inttoptr i64 %.279 to ptr
  %.33.i10 = load i64, ptr %.32.i9, align 1
  %0 = and i64 %.33.i10, 65535
  %.306 = icmp eq i64 %0, 29549
  %1 = zext i1 %.306 to i8
  br label %B702

B702.endif:
  %.350.not = icmp eq i64 %.336, 0
  br i1 %.350.not, label %B896.endif.endif, label %B772

B702.if.if:
  %.334 = icmp sgt i32 %.326, 0
  %.327 = load ptr, ptr %excinfo.7, align 8
  %.335 = select i1 %.334, ptr %.327, ptr undef
  store ptr %.335, ptr %excinfo, align 8
  br label %common.ret

B896.endif.endif:
  %.371 = add i64 %arg.s, 168
  %.372 = inttoptr i64 %.371 to ptr
  %.373 = load i64, ptr %.372, align 8
  %.374.not = icmp eq i64 %.373, 0
  %.392 = select i1 %.374.not, i64 160, i64 152
  %.393 = add i64 %.392, %arg.s
  %.394 = inttoptr i64 %.393 to ptr
  %.395 = load i64, ptr %.394, align 8
  %.404 = add i64 %arg.s, 648
  %.405 = inttoptr i64 %.404 to ptr
  %.406 = load i64, ptr %.405, align 8
  %.409 = add i64 %arg.s, 112
  %.410 = inttoptr i64 %.409 to ptr
  %.411 = load i64, ptr %.410, align 8
  %.413 = shl i64 %.135, 3
  %.414 = add i64 %.406, %.413
  %.415 = inttoptr i64 %.414 to ptr
  store i64 %.411, ptr %.415, align 8
  %.419 = add i64 %arg.s, 656
  %.420 = inttoptr i64 %.419 to ptr
  %.421 = load i64, ptr %.420, align 8
  %.424 = add i64 %arg.s, 128
  %.425 = inttoptr i64 %.424 to ptr
  %.426 = load i64, ptr %.425, align 8
  %.429 = add i64 %.421, %.413
  %.430 = inttoptr i64 %.429 to ptr
  store i64 %.426, ptr %.430, align 8
  %.434 = add i64 %arg.s, 664
  %.435 = inttoptr i64 %.434 to ptr
  %.436 = load i64, ptr %.435, align 8
  %.439 = trunc i64 %kind.2.0 to i8
  %.441 = add i64 %.436, %.135
  %.442 = inttoptr i64 %.441 to ptr
  store i8 %.439, ptr %.442, align 1
  %.448 = add i64 %arg.s, 672
  %.449 = inttoptr i64 %.448 to ptr
  %.450 = load i64, ptr %.449, align 8
  %.453 = trunc i64 %.163 to i32
  %.454 = shl i64 %.135, 2
  %.455 = add i64 %.450, %.454
  %.456 = inttoptr i64 %.455 to ptr
  store i32 %.453, ptr %.456, align 4
  %.462 = add i64 %arg.s, 680
  %.463 = inttoptr i64 %.462 to ptr
  %.464 = load i64, ptr %.463, align 8
  %.467 = trunc i64 %.194 to i32
  %.469 = add i64 %.464, %.454
  %.470 = inttoptr i64 %.469 to ptr
  store i32 %.467, ptr %.470, align 4
  %.476 = add i64 %arg.s, 688
  %.477 = inttoptr i64 %.476 to ptr
  %.478 = load i64, ptr %.477, align 8
  %.481 = add i64 %arg.s, 144
  %.482 = inttoptr i64 %.481 to ptr
  %.483 = load i64, ptr %.482, align 8
  %.13.i = tail call i64 @llvm.smax.i64(i64 %.483, i64 -1)
  %.514 = add i64 %.478, %.413
  %.515 = inttoptr i64 %.514 to ptr
  store i64 %.13.i, ptr %.515, align 8
  %.519 = add i64 %arg.s, 696
  %.520 = inttoptr i64 %.519 to ptr
  %.521 = load i64, ptr %.520, align 8
  %.13.i11 = tail call i64 @llvm.smax.i64(i64 %.395, i64 -1)
  %.552 = add i64 %.521, %.413
  %.553 = inttoptr i64 %.552 to ptr
  store i64 %.13.i11, ptr %.553, align 8
  %.556 = add nsw i64 %.135, 1
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr14 = getelementptr i8, ptr %sunkaddr, i64 512
  store i64 %.556, ptr %sunkaddr14, align 8
  store i64 0, ptr %retptr, align 8
  br label %common.ret
}

define internal i32 @name_thread.15(ptr %retptr, ptr %excinfo, i64 %arg.s) {
B0:
  %.129 = alloca i64, align 8
  %excinfo.3 = alloca ptr, align 8
  %.306 = alloca i8, align 1
  %excinfo.4 = alloca ptr, align 8
  store ptr null, ptr %excinfo.4, align 8
  %.343 = alloca i8, align 1
  %excinfo.5 = alloca ptr, align 8
  store ptr null, ptr %excinfo.5, align 8
  %.403 = alloca i64, align 8
  %excinfo.6 = alloca ptr, align 8
  %.9 = add i64 %arg.s, 32
  %.10 = inttoptr i64 %.9 to ptr
  %.11 = load i64, ptr %.10, align 8
  %.16 = icmp slt i64 %.11, 0
  br i1 %.16, label %B240, label %B68

B68:
  %.20 = add i64 %arg.s, 40
  %.21 = inttoptr i64 %.20 to ptr
  %.22 = load i64, ptr %.21, align 8
  %.24 = sub nsw i64 %.22, %.11
  %.25.not = icmp eq i64 %.24, 11
  br i1 %.25.not, label %B134.endif, label %B240

common.ret:
  %common.ret.op = phi i32 [ 0, %B240 ], [ 0, %B388 ], [ 0, %B876 ], [ 0, %B1074 ], [ 0, %B1098 ], [ %.407, %B900.if.if ], [ %.347, %B820.endif.if.if ], [ %.133, %B412.if.if ], [ %.310, %B764.endif.if.if ]
  ret i32 %common.ret.op

B240:
  store i64 0, ptr %retptr, align 8
  br label %common.ret

B264:
  %.96 = add i64 %arg.s, 200
  %.97 = inttoptr i64 %.96 to ptr
  %.98 = load i64, ptr %.97, align 8
  %.103 = icmp slt i64 %.98, 0
  br i1 %.103, label %B388, label %B328

B328:
  %.107 = add i64 %arg.s, 208
  %.108 = inttoptr i64 %.107 to ptr
  %.109 = load i64, ptr %.108, align 8
  %.111 = icmp eq i64 %.109, %.98
  br i1 %.111, label %B388, label %B412

B388:
  store i64 0, ptr %retptr, align 8
  br label %common.ret

B412:
  %.126 = sub nsw i64 %.109, %.98
  store i64 0, ptr %.129, align 8
  %.133 = call i32 @intern.19(ptr nonnull %.129, ptr nonnull %excinfo.3, i64 %.98, i64 %.126, i64 %arg.s, i64 99, i64 0)
  %.143 = load i64, ptr %.129, align 8
  %cond = icmp eq i32 %.133, 0
  br i1 %cond, label %B412.endif.endif.endif, label %B412.if.if

B764:
  store i8 0, ptr %.306, align 1
  %.310 = call i32 @identify.20(ptr nonnull %.306, ptr nonnull %excinfo.4, i64 %.164, i64 1, i64 6, i64 %arg.s)
  %.311 = load ptr, ptr %excinfo.4, align 8
  %.318 = icmp sgt i32 %.310, 0
  %.319 = select i1 %.318, ptr %.311, ptr undef
  %.320 = load i8, ptr %.306, align 1
  %.323 = icmp eq i8 %.320, 0
  br i1 %.323, label %B764.endif.thread, label %B764.endif

B820:
  store i8 0, ptr %.343, align 1
  %.347 = call i32 @identify.21(ptr nonnull %.343, ptr nonnull %excinfo.5, i64 %.164, i64 3, i64 10, i64 %arg.s)
  %.348 = load ptr, ptr %excinfo.5, align 8
  %.355 = icmp sgt i32 %.347, 0
  %.356 = select i1 %.355, ptr %.348, ptr undef
  %.357 = load i8, ptr %.343, align 1
  %.360 = icmp eq i8 %.357, 0
  br i1 %.360, label %B820.endif.thread, label %B820.endif

B876:
  store i64 3, ptr %retptr, align 8
  br label %common.ret

B900:
  %.387 = add i64 %arg.s, 592
  %.388 = inttoptr i64 %.387 to ptr
  %.389 = load i64, ptr %.388, align 8
  %.392 = add i64 %arg.s, 512
  %.393 = inttoptr i64 %.392 to ptr
  %.394 = load i64, ptr %.393, align 8
  %.395 = add nsw i64 %.394, %.389
  store i64 0, ptr %.403, align 8
  %.407 = call i32 @record_id.22(ptr nonnull %.403, ptr nonnull %excinfo.6, i64 %.164, i64 %arg.s, i64 115, i64 %.395)
  %.417 = load i64, ptr %.403, align 8
  %cond5 = icmp eq i32 %.407, 0
  br i1 %cond5, label %B900.endif, label %B900.if.if

B1074:
  store i64 3, ptr %retptr, align 8
  br label %common.ret

B1098:
  %.448 = add i64 %arg.s, 920
  %.449 = inttoptr i64 %.448 to ptr
  %.450 = load i64, ptr %.449, align 8
  %.452 = shl nsw i64 %.417, 3
  %.454 = shl i64 %.417, 6
  %.456 = or i64 %.454, 56
  %.457 = add i64 %.456, %.450
  %.458 = inttoptr i64 %.457 to ptr
  store i64 %.143, ptr %.458, align 8
  %.465 = add i64 %arg.s, 960
  %.466 = inttoptr i64 %.465 to ptr
  %.467 = load i64, ptr %.466, align 8
  %.473 = add i64 %.467, %.452
  %.474 = inttoptr i64 %.473 to ptr
  store i64 %.395, ptr %.474, align 8
  store i64 0, ptr %retptr, align 8
  br label %common.ret

B134.endif:
  %.16.i = inttoptr i64 %.11 to ptr
  %.17.i = load i64, ptr %.16.i, align 1
  %.55.not = icmp eq i64 %.17.i, 7953185836436187252
  br i1 %.55.not, label %B184.endif, label %B240

B184.endif:
  %.59 = add nuw nsw i64 %.11, 8
  %.32.i = inttoptr i64 %.59 to ptr
  %.33.i = load i64, ptr %.32.i, align 1
  %.42.i = and i64 %.33.i, 16777215
  %.86.not = icmp eq i64 %.42.i, 6647137
  br i1 %.86.not, label %B264, label %B240

B412.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B412.endif.endif.endif:
  %.160 = add i64 %arg.s, 584
  %.161 = inttoptr i64 %.160 to ptr
  %.162 = load i64, ptr %.161, align 8
  %.164 = add nsw i64 %.162, 440
  %.288 = inttoptr i64 %.164 to ptr
  %.287.1 = add i64 %.162, 448
  %.288.1 = inttoptr i64 %.287.1 to ptr
  store i64 -1, ptr %.288.1, align 8
  %.287.2 = add i64 %.162, 456
  %.288.2 = inttoptr i64 %.287.2 to ptr
  store i64 -1, ptr %.288.2, align 8
  %.287.3 = add i64 %.162, 464
  %.288.3 = inttoptr i64 %.287.3 to ptr
  store i64 -1, ptr %.288.3, align 8
  %.287.4 = add i64 %.162, 472
  %.288.4 = inttoptr i64 %.287.4 to ptr
  store i64 -1, ptr %.288.4, align 8
  %.287.5 = add i64 %.162, 480
  %.288.5 = inttoptr i64 %.287.5 to ptr
  store i64 -1, ptr %.288.5, align 8
  %.287.6 = add i64 %.162, 488
  %.288.6 = inttoptr i64 %.287.6 to ptr
  store i64 -1, ptr %.288.6, align 8
  %.287.7 = add i64 %.162, 496
  %.288.7 = inttoptr i64 %.287.7 to ptr
  store i64 -1, ptr %.288.7, align 8
  store i64 3, ptr %.288, align 8
  %.301 = icmp slt i64 %.143, 0
  br i1 %.301, label %B876, label %B764

B764.endif:
  %0 = icmp eq i32 %.310, 0
  br i1 %0, label %B820, label %B764.endif.if.if

B764.endif.thread:
  %1 = icmp eq i32 %.310, 0
  br i1 %1, label %B876, label %B764.endif.if.if

B764.endif.if.if:
  store ptr %.319, ptr %excinfo, align 8
  br label %common.ret

B820.endif:
  %2 = icmp eq i32 %.347, 0
  br i1 %2, label %B900, label %B820.endif.if.if

B820.endif.thread:
  %3 = icmp eq i32 %.347, 0
  br i1 %3, label %B876, label %B820.endif.if.if

B820.endif.if.if:
  store ptr %.356, ptr %excinfo, align 8
  br label %common.ret

B900.endif:
  %.433 = icmp slt i64 %.417, 0
  br i1 %.433, label %B1074, label %B1098

B900.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @intern.19(ptr %retptr, ptr %excinfo, i64 %arg.a, i64 %arg.n, i64 %arg.s, i64 %arg.table, i64 %arg.seen) {
B0:
  %const = bitcast i64 -7046029254386353131 to i64
  %arg.n.fr = freeze i64 %arg.n
  %.20 = shl i64 %arg.table, 3
  %.22 = add i64 %.20, %arg.s
  %.23 = add i64 %.22, 24
  %.24 = inttoptr i64 %.23 to ptr
  %.25 = load i64, ptr %.24, align 8
  %.30 = add i64 %.22, 16
  %.31 = inttoptr i64 %.30 to ptr
  %.32 = load i64, ptr %.31, align 8
  %.38 = inttoptr i64 %.22 to ptr
  %.39 = load i64, ptr %.38, align 8
  %.53 = add i64 %.22, 32
  %.54 = inttoptr i64 %.53 to ptr
  %.55 = load i64, ptr %.54, align 8
  %.56 = add nsw i64 %.55, -1
  %.18.i = mul i64 %arg.n.fr, %const
  %.25.i = icmp sgt i64 %arg.n.fr, 7
  br i1 %.25.i, label %B72.preheader.i, label %B46.i.i

B72.preheader.i:
  %0 = add nsw i64 %arg.n.fr, -8
  %1 = and i64 %0, 8
  %lcmp.mod.not.not.i = icmp eq i64 %1, 0
  br i1 %lcmp.mod.not.not.i, label %B72.prol.loopexit.i, label %B72.i.preheader

B72.prol.loopexit.i:
  %.28.prol.i = inttoptr i64 %arg.a to ptr
  %.29.prol.i = load i64, ptr %.28.prol.i, align 1
  %.31.prol.i = xor i64 %.29.prol.i, %.18.i
  %.32.prol.i = mul i64 %.31.prol.i, %const
  %.33.prol.i = lshr i64 %.32.prol.i, 29
  %.34.prol.i = xor i64 %.33.prol.i, %.32.prol.i
  %.40.prol.i = add nsw i64 %arg.a, 8
  %2 = icmp ult i64 %arg.n.fr, 16
  br i1 %2, label %B46.i.i, label %B72.i.preheader

B72.i.preheader:
  %a.2.0.i.ph = phi i64 [ %.40.prol.i, %B72.prol.loopexit.i ], [ %arg.a, %B72.preheader.i ]
  %n.2.0.i.ph = phi i64 [ %0, %B72.prol.loopexit.i ], [ %arg.n.fr, %B72.preheader.i ]
  %found.4.0.i.ph = phi i64 [ %.34.prol.i, %B72.prol.loopexit.i ], [ %.18.i, %B72.preheader.i ]
  br label %B72.i

B72.i:
  %a.2.0.i = phi i64 [ %6, %B72.i ], [ %a.2.0.i.ph, %B72.i.preheader ]
  %n.2.0.i = phi i64 [ %.42.1.i, %B72.i ], [ %n.2.0.i.ph, %B72.i.preheader ]
  %found.4.0.i = phi i64 [ %.34.1.i, %B72.i ], [ %found.4.0.i.ph, %B72.i.preheader ]
  %.28.i = inttoptr i64 %a.2.0.i to ptr
  %.29.i = load i64, ptr %.28.i, align 1
  %.31.i = xor i64 %.29.i, %found.4.0.i
  %.32.i = mul i64 %.31.i, %const
  %.33.i = lshr i64 %.32.i, 29
  %3 = add i64 %a.2.0.i, 8
  %.28.1.i = inttoptr i64 %3 to ptr
  %.29.1.i = load i64, ptr %.28.1.i, align 1
  %4 = xor i64 %.29.1.i, %.33.i
  %.31.1.i = xor i64 %4, %.32.i
  %.32.1.i = mul i64 %.31.1.i, %const
  %.33.1.i = lshr i64 %.32.1.i, 29
  %.34.1.i = xor i64 %.33.1.i, %.32.1.i
  %.42.1.i = add nsw i64 %n.2.0.i, -16
  %5 = add i64 %a.2.0.i, 16
  %.51.1.i = icmp ugt i64 %.42.1.i, 7
  %6 = add i64 %3, 8
  br i1 %.51.1.i, label %B72.i, label %B46.i.i

B46.i.i:
  %a.3.1.i = phi i64 [ %arg.a, %B0 ], [ %.40.prol.i, %B72.prol.loopexit.i ], [ %5, %B72.i ]
  %n.3.1.i = phi i64 [ %arg.n.fr, %B0 ], [ %0, %B72.prol.loopexit.i ], [ %.42.1.i, %B72.i ]
  %found.5.1.i = phi i64 [ %.18.i, %B0 ], [ %.34.prol.i, %B72.prol.loopexit.i ], [ %.34.1.i, %B72.i ]
  %.23.i.i = icmp slt i64 %n.3.1.i, 1
  br i1 %.23.i.i, label %B0.endif, label %B98.i.i

B98.i.i:
  %.32.i.i = inttoptr i64 %a.3.1.i to ptr
  %.33.i.i = load i64, ptr %.32.i.i, align 1
  %.37.i.i = shl nuw nsw i64 %n.3.1.i, 3
  %.40.i.i = sub nuw nsw i64 64, %.37.i.i
  %.41.i.i = lshr i64 -1, %.40.i.i
  %.42.i.i = and i64 %.33.i.i, %.41.i.i
  %7 = xor i64 %.42.i.i, %found.5.1.i
  br label %B0.endif

B352:
  %at.2.0 = phi i64 [ %.216, %B518 ], [ %.90, %B352.preheader10 ]
  %.112 = shl i64 %at.2.0, 2
  %.113 = add i64 %.112, %.25
  %.114 = inttoptr i64 %.113 to ptr
  %.115 = load i32, ptr %.114, align 4
  %.116 = sext i32 %.115 to i64
  %.117 = add nsw i64 %.116, -1
  %.123 = shl nsw i64 %.117, 3
  %.124 = add i64 %.123, %.32
  %.125 = inttoptr i64 %.124 to ptr
  %.126 = load i64, ptr %.125, align 8
  %.133 = shl nsw i64 %.116, 3
  %.134 = add i64 %.133, %.32
  %.135 = inttoptr i64 %.134 to ptr
  %.136 = load i64, ptr %.135, align 8
  %.138 = sub nsw i64 %.136, %.126
  %.140 = icmp eq i64 %.138, %arg.n.fr
  br i1 %.140, label %B474, label %B518

B474:
  %.145 = add nsw i64 %.126, %.39
  %sunkaddr51 = inttoptr i64 %arg.a to ptr
  %.33.i.i11 = load i64, ptr %sunkaddr51, align 1
  %.32.i5.i = inttoptr i64 %.145 to ptr
  %.33.i6.i = load i64, ptr %.32.i5.i, align 1
  %8 = xor i64 %.33.i6.i, %.33.i.i11
  %9 = and i64 %8, %.41.i.i14
  %.not = icmp eq i64 %9, 0
  br i1 %.not, label %common.ret, label %B518

common.ret:
  %.244.sink = phi i64 [ %.244, %B906 ], [ %.117.us, %B46.i.i6.loopexit.us ], [ %.117.us31, %B352.us24 ], [ -1, %B716 ], [ -1, %B574 ], [ %.117.us, %_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us ], [ %.117, %B474 ]
  store i64 %.244.sink, ptr %retptr, align 8
  ret i32 0

B518:
  %.214 = add nsw i64 %at.2.0, 1
  %.216 = and i64 %.214, %.56
  %.222 = shl i64 %.216, 2
  %.223 = add i64 %.222, %.25
  %.224 = inttoptr i64 %.223 to ptr
  %.225 = load i32, ptr %.224, align 4
  %.227.not = icmp eq i32 %.225, 0
  br i1 %.227.not, label %B574, label %B352

B574:
  %at.3.1 = phi i64 [ %.90, %B0.endif ], [ %.216.us, %B518.us ], [ %.216.us46, %B518.us44 ], [ %.216, %B518 ]
  %sunkaddr52 = inttoptr i64 %arg.s to ptr
  %sunkaddr53 = mul i64 %arg.table, 8
  %sunkaddr54 = getelementptr i8, ptr %sunkaddr52, i64 %sunkaddr53
  %sunkaddr55 = getelementptr i8, ptr %sunkaddr54, i64 56
  %.244 = load i64, ptr %sunkaddr55, align 8
  %.250 = shl i64 %.244, 3
  %.251 = add i64 %.250, %.32
  %.252 = inttoptr i64 %.251 to ptr
  %.253 = load i64, ptr %.252, align 8
  %.258 = add nsw i64 %.244, 1
  %sunkaddr58 = inttoptr i64 %arg.s to ptr
  %sunkaddr59 = mul i64 %arg.table, 8
  %sunkaddr60 = getelementptr i8, ptr %sunkaddr58, i64 %sunkaddr59
  %sunkaddr61 = getelementptr i8, ptr %sunkaddr60, i64 48
  %.265 = load i64, ptr %sunkaddr61, align 8
  %.266.not = icmp slt i64 %.258, %.265
  br i1 %.266.not, label %B716, label %common.ret

B716:
  %.270 = add nsw i64 %.253, %arg.n.fr
  %.271 = add nsw i64 %.270, 64
  %sunkaddr62 = inttoptr i64 %arg.s to ptr
  %sunkaddr63 = mul i64 %arg.table, 8
  %sunkaddr64 = getelementptr i8, ptr %sunkaddr62, i64 %sunkaddr63
  %sunkaddr65 = getelementptr i8, ptr %sunkaddr64, i64 8
  %.278 = load i64, ptr %sunkaddr65, align 8
  %.279 = icmp sgt i64 %.271, %.278
  br i1 %.279, label %common.ret, label %B798.endif

B830:
  %.391152154 = phi i64 [ 0, %B830.lr.ph.new ], [ %.398.3, %B830 ]
  %10 = add i64 %arg.a, %.391152154
  %.428 = inttoptr i64 %10 to ptr
  %.429 = load i8, ptr %.428, align 1
  %11 = add i64 %33, %.391152154
  %.434 = inttoptr i64 %11 to ptr
  store i8 %.429, ptr %.434, align 1
  %12 = add i64 %arg.a, %.391152154
  %13 = add i64 %12, 1
  %.428.1 = inttoptr i64 %13 to ptr
  %.429.1 = load i8, ptr %.428.1, align 1
  %14 = add i64 %33, %.391152154
  %15 = add i64 %14, 1
  %.434.1 = inttoptr i64 %15 to ptr
  store i8 %.429.1, ptr %.434.1, align 1
  %16 = add i64 %arg.a, %.391152154
  %17 = add i64 %16, 2
  %.428.2 = inttoptr i64 %17 to ptr
  %.429.2 = load i8, ptr %.428.2, align 1
  %18 = add i64 %33, %.391152154
  %19 = add i64 %18, 2
  %.434.2 = inttoptr i64 %19 to ptr
  store i8 %.429.2, ptr %.434.2, align 1
  %.398.3 = add nuw nsw i64 %.391152154, 4
  %20 = add i64 %arg.a, %.391152154
  %21 = add i64 %20, 3
  %.428.3 = inttoptr i64 %21 to ptr
  %.429.3 = load i8, ptr %.428.3, align 1
  %22 = add i64 %33, %.391152154
  %23 = add i64 %22, 3
  %.434.3 = inttoptr i64 %23 to ptr
  store i8 %.429.3, ptr %.434.3, align 1
  %niter.ncmp.3 = icmp eq i64 %unroll_iter, %.398.3
  br i1 %niter.ncmp.3, label %B906.loopexit.unr-lcssa, label %B830

B906.loopexit.unr-lcssa:
  %lcmp.mod.not = icmp eq i64 %xtraiter, 0
  br i1 %lcmp.mod.not, label %B906, label %B830.epil.preheader

B830.epil.preheader:
  %.pre-phi = phi i64 [ %.pre, %B830.lr.ph.B830.epil.preheader_crit_edge ], [ %33, %B906.loopexit.unr-lcssa ]
  %.391152154.epil.init = phi i64 [ 0, %B830.lr.ph.B830.epil.preheader_crit_edge ], [ %unroll_iter, %B906.loopexit.unr-lcssa ]
  %24 = add i64 %.391152154.epil.init, %.pre-phi
  %25 = add nsw i64 %.391152154.epil.init, %arg.a
  br label %B830.epil

B830.epil:
  %lsr.iv104 = phi i64 [ %lsr.iv.next105, %B830.epil ], [ %xtraiter, %B830.epil.preheader ]
  %lsr.iv102 = phi i64 [ %lsr.iv.next103, %B830.epil ], [ %25, %B830.epil.preheader ]
  %lsr.iv = phi i64 [ %lsr.iv.next, %B830.epil ], [ %24, %B830.epil.preheader ]
  %.428.epil = inttoptr i64 %lsr.iv102 to ptr
  %.429.epil = load i8, ptr %.428.epil, align 1
  %.434.epil = inttoptr i64 %lsr.iv to ptr
  store i8 %.429.epil, ptr %.434.epil, align 1
  %lsr.iv.next = add i64 %lsr.iv, 1
  %lsr.iv.next103 = add i64 %lsr.iv102, 1
  %lsr.iv.next105 = add nsw i64 %lsr.iv104, -1
  %epil.iter.cmp.not = icmp eq i64 %lsr.iv.next105, 0
  br i1 %epil.iter.cmp.not, label %B906, label %B830.epil

B906:
  %sunkaddr66 = inttoptr i64 %.32 to ptr
  %sunkaddr67 = mul i64 %.244, 8
  %sunkaddr68 = getelementptr i8, ptr %sunkaddr66, i64 %sunkaddr67
  %sunkaddr69 = getelementptr i8, ptr %sunkaddr68, i64 8
  store i64 %.270, ptr %sunkaddr69, align 8
  %sunkaddr70 = inttoptr i64 %arg.s to ptr
  %sunkaddr71 = mul i64 %arg.table, 8
  %sunkaddr72 = getelementptr i8, ptr %sunkaddr70, i64 %sunkaddr71
  %sunkaddr73 = getelementptr i8, ptr %sunkaddr72, i64 40
  %.467 = load i64, ptr %sunkaddr73, align 8
  %sunkaddr74 = inttoptr i64 %.467 to ptr
  %sunkaddr75 = mul i64 %.244, 8
  %sunkaddr76 = getelementptr i8, ptr %sunkaddr74, i64 %sunkaddr75
  store i64 0, ptr %sunkaddr76, align 8
  %.480 = trunc i64 %.258 to i32
  %.481 = shl i64 %at.3.1, 2
  %.482 = add i64 %.481, %.25
  %.483 = inttoptr i64 %.482 to ptr
  store i32 %.480, ptr %.483, align 4
  %sunkaddr77 = inttoptr i64 %arg.s to ptr
  %sunkaddr78 = mul i64 %arg.table, 8
  %sunkaddr79 = getelementptr i8, ptr %sunkaddr77, i64 %sunkaddr78
  %sunkaddr80 = getelementptr i8, ptr %sunkaddr79, i64 56
  store i64 %.258, ptr %sunkaddr80, align 8
  br label %common.ret

B0.endif:
  %.42.sink.i.i = phi i64 [ %7, %B98.i.i ], [ %found.5.1.i, %B46.i.i ]
  %.96.i = mul i64 %.42.sink.i.i, %const
  %.97.i = lshr i64 %.96.i, 32
  %.98.i = xor i64 %.97.i, %.96.i
  %.90 = and i64 %.98.i, %.56
  %.98 = shl i64 %.90, 2
  %.99 = add i64 %.98, %.25
  %.100 = inttoptr i64 %.99 to ptr
  %.101 = load i32, ptr %.100, align 4
  %.103.not = icmp eq i32 %.101, 0
  br i1 %.103.not, label %B574, label %B352.preheader

B352.preheader:
  %26 = icmp sgt i64 %arg.n.fr, 7
  %27 = shl i64 %arg.n.fr, 3
  %28 = sub i64 64, %27
  br i1 %26, label %B352.us.preheader, label %B352.preheader.split

B352.us.preheader:
  %29 = add nuw i64 %arg.n.fr, 8
  br label %B352.us

B352.us:
  %at.2.0.us = phi i64 [ %.216.us, %B518.us ], [ %.90, %B352.us.preheader ]
  %.112.us = shl i64 %at.2.0.us, 2
  %.113.us = add i64 %.112.us, %.25
  %.114.us = inttoptr i64 %.113.us to ptr
  %.115.us = load i32, ptr %.114.us, align 4
  %.116.us = sext i32 %.115.us to i64
  %.117.us = add nsw i64 %.116.us, -1
  %.123.us = shl nsw i64 %.117.us, 3
  %.124.us = add i64 %.123.us, %.32
  %.125.us = inttoptr i64 %.124.us to ptr
  %.126.us = load i64, ptr %.125.us, align 8
  %.133.us = shl nsw i64 %.116.us, 3
  %.134.us = add i64 %.133.us, %.32
  %.135.us = inttoptr i64 %.134.us to ptr
  %.136.us = load i64, ptr %.135.us, align 8
  %.138.us = sub nsw i64 %.136.us, %.126.us
  %.140.us = icmp eq i64 %.138.us, %arg.n.fr
  br i1 %.140.us, label %B474.us, label %B518.us

B474.us:
  %.145.us = add nsw i64 %.126.us, %.39
  br label %B16.i.us

B16.i.us:
  %lsr.iv108 = phi i64 [ %28, %B474.us ], [ %lsr.iv.next109, %B84.i.us ]
  %lsr.iv106 = phi i64 [ %29, %B474.us ], [ %lsr.iv.next107, %B84.i.us ]
  %a.2.0.i15.us = phi i64 [ %arg.a, %B474.us ], [ %.54.i.us, %B84.i.us ]
  %b.2.0.i.us = phi i64 [ %.145.us, %B474.us ], [ %.56.i.us, %B84.i.us ]
  %.37.i.us = inttoptr i64 %a.2.0.i15.us to ptr
  %.38.i.us = load i64, ptr %.37.i.us, align 1
  %.40.i.us = inttoptr i64 %b.2.0.i.us to ptr
  %.41.i.us = load i64, ptr %.40.i.us, align 1
  %.42.not.i.us = icmp eq i64 %.38.i.us, %.41.i.us
  br i1 %.42.not.i.us, label %B84.i.us, label %B518.us

B84.i.us:
  %.54.i.us = add i64 %a.2.0.i15.us, 8
  %.56.i.us = add i64 %b.2.0.i.us, 8
  %lsr.iv.next107 = add i64 %lsr.iv106, -8
  %lsr.iv.next109 = add i64 %lsr.iv108, 64
  %.71.i.us = icmp sgt i64 %lsr.iv.next107, 15
  br i1 %.71.i.us, label %B16.i.us, label %B46.i.i6.loopexit.us

_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us:
  %.32.i.i10.us = inttoptr i64 %.54.i.us to ptr
  %.33.i.i11.us = load i64, ptr %.32.i.i10.us, align 1
  %.41.i.i14.us = lshr i64 -1, %lsr.iv.next109
  %.32.i5.i.us = inttoptr i64 %.56.i.us to ptr
  %.33.i6.i.us = load i64, ptr %.32.i5.i.us, align 1
  %30 = xor i64 %.33.i6.i.us, %.33.i.i11.us
  %31 = and i64 %30, %.41.i.i14.us
  %.not.us = icmp eq i64 %31, 0
  br i1 %.not.us, label %common.ret, label %B518.us

B518.us:
  %.214.us = add nsw i64 %at.2.0.us, 1
  %.216.us = and i64 %.214.us, %.56
  %.222.us = shl i64 %.216.us, 2
  %.223.us = add i64 %.222.us, %.25
  %.224.us = inttoptr i64 %.223.us to ptr
  %.225.us = load i32, ptr %.224.us, align 4
  %.227.not.us = icmp eq i32 %.225.us, 0
  br i1 %.227.not.us, label %B574, label %B352.us

B46.i.i6.loopexit.us:
  %.23.i.i9.us = icmp slt i64 %lsr.iv.next107, 9
  br i1 %.23.i.i9.us, label %common.ret, label %_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us

B352.preheader.split:
  %.23.i.i9 = icmp slt i64 %arg.n.fr, 1
  %.41.i.i14 = lshr i64 -1, %28
  br i1 %.23.i.i9, label %B352.us24.preheader, label %B352.preheader10

B352.us24.preheader:
  br label %B352.us24

B352.preheader10:
  br label %B352

B352.us24:
  %at.2.0.us25 = phi i64 [ %.216.us46, %B518.us44 ], [ %.90, %B352.us24.preheader ]
  %.112.us26 = shl i64 %at.2.0.us25, 2
  %.113.us27 = add i64 %.112.us26, %.25
  %.114.us28 = inttoptr i64 %.113.us27 to ptr
  %.115.us29 = load i32, ptr %.114.us28, align 4
  %.116.us30 = sext i32 %.115.us29 to i64
  %.117.us31 = add nsw i64 %.116.us30, -1
  %.123.us32 = shl nsw i64 %.117.us31, 3
  %.124.us33 = add i64 %.123.us32, %.32
  %.125.us34 = inttoptr i64 %.124.us33 to ptr
  %.126.us35 = load i64, ptr %.125.us34, align 8
  %.133.us36 = shl nsw i64 %.116.us30, 3
  %.134.us37 = add i64 %.133.us36, %.32
  %.135.us38 = inttoptr i64 %.134.us37 to ptr
  %.136.us39 = load i64, ptr %.135.us38, align 8
  %.138.us40 = sub nsw i64 %.136.us39, %.126.us35
  %.140.us41 = icmp eq i64 %.138.us40, %arg.n.fr
  br i1 %.140.us41, label %common.ret, label %B518.us44

B518.us44:
  %.214.us45 = add nsw i64 %at.2.0.us25, 1
  %.216.us46 = and i64 %.214.us45, %.56
  %.222.us47 = shl i64 %.216.us46, 2
  %.223.us48 = add i64 %.222.us47, %.25
  %.224.us49 = inttoptr i64 %.223.us48 to ptr
  %.225.us50 = load i32, ptr %.224.us49, align 4
  %.227.not.us51 = icmp eq i32 %.225.us50, 0
  br i1 %.227.not.us51, label %B574, label %B352.us24

B798.endif:
  %.385153.not = icmp slt i64 %arg.n.fr, 1
  br i1 %.385153.not, label %B906, label %B830.lr.ph

B830.lr.ph:
  %xtraiter = and i64 %arg.n.fr, 3
  %32 = icmp ult i64 %arg.n.fr, 4
  br i1 %32, label %B830.lr.ph.B830.epil.preheader_crit_edge, label %B830.lr.ph.new

B830.lr.ph.B830.epil.preheader_crit_edge:
  %.pre = add i64 %.253, %.39
  br label %B830.epil.preheader

B830.lr.ph.new:
  %unroll_iter = and i64 %arg.n.fr, 9223372036854775804
  %33 = add i64 %.253, %.39
  br label %B830
}

define internal i32 @identify.20(ptr %retptr, ptr %excinfo, i64 %arg.record, i64 %arg.field, i64 %arg.slot, i64 %arg.s) {
B0:
  %.57 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  %.26 = shl i64 %arg.slot, 3
  %.28 = add i64 %.26, 8
  %.29 = add i64 %.28, %arg.s
  %.30 = inttoptr i64 %.29 to ptr
  %.31 = load i64, ptr %.30, align 8
  %.36.not = icmp eq i64 %.31, 0
  br i1 %.36.not, label %B222.thread, label %B86

B222.thread:
  %sunkaddr1 = inttoptr i64 %arg.s to ptr
  %sunkaddr2 = mul i64 %arg.slot, 8
  %sunkaddr4 = getelementptr i8, ptr %sunkaddr1, i64 %sunkaddr2
  %.21 = load i64, ptr %sunkaddr4, align 8
  %.9626 = add i64 %arg.record, 8
  %.9727 = inttoptr i64 %.9626 to ptr
  store i64 %.21, ptr %.9727, align 8
  %.10628 = add i64 %arg.record, 16
  %.10729 = inttoptr i64 %.10628 to ptr
  store i64 0, ptr %.10729, align 8
  br label %B318

B86:
  %sunkaddr5 = inttoptr i64 %arg.s to ptr
  %sunkaddr6 = mul i64 %arg.slot, 8
  %sunkaddr7 = getelementptr i8, ptr %sunkaddr5, i64 %sunkaddr6
  %sunkaddr9 = getelementptr i8, ptr %sunkaddr7, i64 16
  %.44 = load i64, ptr %sunkaddr9, align 8
  %sunkaddr10 = inttoptr i64 %arg.s to ptr
  %sunkaddr11 = mul i64 %arg.slot, 8
  %sunkaddr13 = getelementptr i8, ptr %sunkaddr10, i64 %sunkaddr11
  %sunkaddr14 = getelementptr i8, ptr %sunkaddr13, i64 24
  %.54 = load i64, ptr %sunkaddr14, align 8
  %.55 = sub nsw i64 %.54, %.44
  store i64 0, ptr %.57, align 8
  %.61 = call i32 @intern.19(ptr nonnull %.57, ptr nonnull %excinfo.1, i64 %.44, i64 %.55, i64 %arg.s, i64 99, i64 0)
  %cond = icmp eq i32 %.61, 0
  br i1 %cond, label %B308, label %B86.if.if

B308:
  %.71 = load i64, ptr %.57, align 8
  %.96 = add i64 %arg.record, 8
  %.97 = inttoptr i64 %.96 to ptr
  store i64 %.71, ptr %.97, align 8
  %.106 = add i64 %arg.record, 16
  %.107 = inttoptr i64 %.106 to ptr
  store i64 %.31, ptr %.107, align 8
  %.120 = icmp sgt i64 %.71, -1
  %0 = zext i1 %.120 to i8
  br label %B318

common.ret:
  %common.ret.op = phi i32 [ 0, %B318 ], [ %.61, %B86.if.if ]
  ret i32 %common.ret.op

B318:
  %"$phi318.0.2.0" = phi i8 [ 1, %B222.thread ], [ %0, %B308 ]
  store i8 %"$phi318.0.2.0", ptr %retptr, align 1
  br label %common.ret

B86.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @identify.21(ptr %retptr, ptr %excinfo, i64 %arg.record, i64 %arg.field, i64 %arg.slot, i64 %arg.s) {
B0:
  %.57 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  %.26 = shl i64 %arg.slot, 3
  %.28 = add i64 %.26, 8
  %.29 = add i64 %.28, %arg.s
  %.30 = inttoptr i64 %.29 to ptr
  %.31 = load i64, ptr %.30, align 8
  %.36.not = icmp eq i64 %.31, 0
  br i1 %.36.not, label %B222.thread, label %B86

B222.thread:
  %sunkaddr1 = inttoptr i64 %arg.s to ptr
  %sunkaddr2 = mul i64 %arg.slot, 8
  %sunkaddr4 = getelementptr i8, ptr %sunkaddr1, i64 %sunkaddr2
  %.21 = load i64, ptr %sunkaddr4, align 8
  %.9626 = add i64 %arg.record, 24
  %.9727 = inttoptr i64 %.9626 to ptr
  store i64 %.21, ptr %.9727, align 8
  %.10628 = add i64 %arg.record, 32
  %.10729 = inttoptr i64 %.10628 to ptr
  store i64 0, ptr %.10729, align 8
  br label %B318

B86:
  %sunkaddr5 = inttoptr i64 %arg.s to ptr
  %sunkaddr6 = mul i64 %arg.slot, 8
  %sunkaddr7 = getelementptr i8, ptr %sunkaddr5, i64 %sunkaddr6
  %sunkaddr9 = getelementptr i8, ptr %sunkaddr7, i64 16
  %.44 = load i64, ptr %sunkaddr9, align 8
  %sunkaddr10 = inttoptr i64 %arg.s to ptr
  %sunkaddr11 = mul i64 %arg.slot, 8
  %sunkaddr13 = getelementptr i8, ptr %sunkaddr10, i64 %sunkaddr11
  %sunkaddr14 = getelementptr i8, ptr %sunkaddr13, i64 24
  %.54 = load i64, ptr %sunkaddr14, align 8
  %.55 = sub nsw i64 %.54, %.44
  store i64 0, ptr %.57, align 8
  %.61 = call i32 @intern.19(ptr nonnull %.57, ptr nonnull %excinfo.1, i64 %.44, i64 %.55, i64 %arg.s, i64 99, i64 0)
  %cond = icmp eq i32 %.61, 0
  br i1 %cond, label %B308, label %B86.if.if

B308:
  %.71 = load i64, ptr %.57, align 8
  %.96 = add i64 %arg.record, 24
  %.97 = inttoptr i64 %.96 to ptr
  store i64 %.71, ptr %.97, align 8
  %.106 = add i64 %arg.record, 32
  %.107 = inttoptr i64 %.106 to ptr
  store i64 %.31, ptr %.107, align 8
  %.120 = icmp sgt i64 %.71, -1
  %0 = zext i1 %.120 to i8
  br label %B318

common.ret:
  %common.ret.op = phi i32 [ 0, %B318 ], [ %.61, %B86.if.if ]
  ret i32 %common.ret.op

B318:
  %"$phi318.0.2.0" = phi i8 [ 1, %B222.thread ], [ %0, %B308 ]
  store i8 %"$phi318.0.2.0", ptr %retptr, align 1
  br label %common.ret

B86.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @record_id.22(ptr %retptr, ptr %excinfo, i64 %arg.record, i64 %arg.s, i64 %arg.table, i64 %arg.seen) {
B0.endif:
  %const = bitcast i64 -7046029254386353131 to i64
  %.17 = shl i64 %arg.table, 3
  %.19 = add i64 %.17, %arg.s
  %.20 = add i64 %.19, 24
  %.21 = inttoptr i64 %.20 to ptr
  %.22 = load i64, ptr %.21, align 8
  %.28 = inttoptr i64 %.19 to ptr
  %.29 = load i64, ptr %.28, align 8
  %.40 = add i64 %.19, 32
  %.41 = inttoptr i64 %.40 to ptr
  %.42 = load i64, ptr %.41, align 8
  %.43 = add nsw i64 %.42, -1
  %.133.i = inttoptr i64 %arg.record to ptr
  %.134.i = load i64, ptr %.133.i, align 8
  %.137.i = mul i64 %.134.i, %const
  %.138.i = lshr i64 %.137.i, 29
  %.132.1.i = add i64 %arg.record, 8
  %.133.1.i = inttoptr i64 %.132.1.i to ptr
  %.134.1.i = load i64, ptr %.133.1.i, align 8
  %0 = xor i64 %.134.1.i, %.138.i
  %.136.1.i = xor i64 %0, %.137.i
  %.137.1.i = mul i64 %.136.1.i, %const
  %.138.1.i = lshr i64 %.137.1.i, 29
  %.132.2.i = add i64 %arg.record, 16
  %.133.2.i = inttoptr i64 %.132.2.i to ptr
  %.134.2.i = load i64, ptr %.133.2.i, align 8
  %1 = xor i64 %.134.2.i, %.138.1.i
  %.136.2.i = xor i64 %1, %.137.1.i
  %.137.2.i = mul i64 %.136.2.i, %const
  %.138.2.i = lshr i64 %.137.2.i, 29
  %.132.3.i = add i64 %arg.record, 24
  %.133.3.i = inttoptr i64 %.132.3.i to ptr
  %.134.3.i = load i64, ptr %.133.3.i, align 8
  %2 = xor i64 %.134.3.i, %.138.2.i
  %.136.3.i = xor i64 %2, %.137.2.i
  %.137.3.i = mul i64 %.136.3.i, %const
  %.138.3.i = lshr i64 %.137.3.i, 29
  %.132.4.i = add i64 %arg.record, 32
  %.133.4.i = inttoptr i64 %.132.4.i to ptr
  %.134.4.i = load i64, ptr %.133.4.i, align 8
  %3 = xor i64 %.134.4.i, %.138.3.i
  %.136.4.i = xor i64 %3, %.137.3.i
  %.137.4.i = mul i64 %.136.4.i, %const
  %.138.4.i = lshr i64 %.137.4.i, 29
  %.132.5.i = add i64 %arg.record, 40
  %.133.5.i = inttoptr i64 %.132.5.i to ptr
  %.134.5.i = load i64, ptr %.133.5.i, align 8
  %4 = xor i64 %.134.5.i, %.138.4.i
  %.136.5.i = xor i64 %4, %.137.4.i
  %.137.5.i = mul i64 %.136.5.i, %const
  %.138.5.i = lshr i64 %.137.5.i, 29
  %.132.6.i = add i64 %arg.record, 48
  %.133.6.i = inttoptr i64 %.132.6.i to ptr
  %.134.6.i = load i64, ptr %.133.6.i, align 8
  %5 = xor i64 %.134.6.i, %.138.5.i
  %.136.6.i = xor i64 %5, %.137.5.i
  %.137.6.i = mul i64 %.136.6.i, %const
  %.138.6.i = lshr i64 %.137.6.i, 29
  %.139.6.i = xor i64 %.138.6.i, %.137.6.i
  %.150.i = lshr i64 %.139.6.i, 32
  %.152.i = xor i64 %.150.i, %.139.6.i
  %.76 = and i64 %.152.i, %.43
  %.84 = shl i64 %.76, 2
  %.85 = add i64 %.84, %.22
  %.86 = inttoptr i64 %.85 to ptr
  %.87 = load i32, ptr %.86, align 4
  %.89.not = icmp eq i32 %.87, 0
  br i1 %.89.not, label %B484, label %B302.preheader

B302.preheader:
  br label %B302

B302:
  %at.2.0 = phi i64 [ %.176, %B428 ], [ %.76, %B302.preheader ]
  %.98 = shl i64 %at.2.0, 2
  %.99 = add i64 %.98, %.22
  %.100 = inttoptr i64 %.99 to ptr
  %.101 = load i32, ptr %.100, align 4
  %.102 = sext i32 %.101 to i64
  %.103 = add nsw i64 %.102, -1
  %.110 = shl nsw i64 %.103, 6
  %.112 = add nsw i64 %.110, %.29
  %.40.i = inttoptr i64 %.112 to ptr
  %.41.i = load i64, ptr %.40.i, align 1
  %.42.not.i = icmp eq i64 %.134.i, %.41.i
  br i1 %.42.not.i, label %B84.i, label %B428

B84.i:
  %sunkaddr = inttoptr i64 %.110 to ptr
  %sunkaddr19 = getelementptr i8, ptr %sunkaddr, i64 %.29
  %sunkaddr20 = getelementptr i8, ptr %sunkaddr19, i64 8
  %.41.i.1 = load i64, ptr %sunkaddr20, align 1
  %.42.not.i.1 = icmp eq i64 %.134.1.i, %.41.i.1
  br i1 %.42.not.i.1, label %B84.i.1, label %B428

B84.i.1:
  %sunkaddr8 = inttoptr i64 %.110 to ptr
  %sunkaddr9 = getelementptr i8, ptr %sunkaddr8, i64 %.29
  %sunkaddr11 = getelementptr i8, ptr %sunkaddr9, i64 16
  %.41.i.2 = load i64, ptr %sunkaddr11, align 1
  %.42.not.i.2 = icmp eq i64 %.134.2.i, %.41.i.2
  br i1 %.42.not.i.2, label %B84.i.2, label %B428

B84.i.2:
  %sunkaddr12 = inttoptr i64 %.110 to ptr
  %sunkaddr14 = getelementptr i8, ptr %sunkaddr12, i64 %.29
  %sunkaddr15 = getelementptr i8, ptr %sunkaddr14, i64 24
  %.41.i.3 = load i64, ptr %sunkaddr15, align 1
  %.42.not.i.3 = icmp eq i64 %.134.3.i, %.41.i.3
  br i1 %.42.not.i.3, label %B84.i.3, label %B428

B84.i.3:
  %sunkaddr17 = inttoptr i64 %.110 to ptr
  %sunkaddr18 = getelementptr i8, ptr %sunkaddr17, i64 %.29
  %sunkaddr22 = getelementptr i8, ptr %sunkaddr18, i64 32
  %.41.i.4 = load i64, ptr %sunkaddr22, align 1
  %.42.not.i.4 = icmp eq i64 %.134.4.i, %.41.i.4
  br i1 %.42.not.i.4, label %B84.i.4, label %B428

B84.i.4:
  %sunkaddr23 = inttoptr i64 %.110 to ptr
  %sunkaddr26 = getelementptr i8, ptr %sunkaddr23, i64 %.29
  %sunkaddr29 = getelementptr i8, ptr %sunkaddr26, i64 40
  %.41.i.5 = load i64, ptr %sunkaddr29, align 1
  %.42.not.i.5 = icmp eq i64 %.134.5.i, %.41.i.5
  br i1 %.42.not.i.5, label %B84.i.5, label %B428

B84.i.5:
  %sunkaddr30 = inttoptr i64 %.110 to ptr
  %sunkaddr31 = getelementptr i8, ptr %sunkaddr30, i64 %.29
  %sunkaddr33 = getelementptr i8, ptr %sunkaddr31, i64 48
  %.41.i.6 = load i64, ptr %sunkaddr33, align 1
  %.42.not.i.6 = icmp eq i64 %.134.6.i, %.41.i.6
  br i1 %.42.not.i.6, label %common.ret, label %B428

common.ret:
  %.204.sink = phi i64 [ %.204, %B608.endif.endif ], [ -1, %B484 ], [ %.103, %B84.i.5 ]
  store i64 %.204.sink, ptr %retptr, align 8
  ret i32 0

B428:
  %.174 = add nsw i64 %at.2.0, 1
  %.176 = and i64 %.174, %.43
  %.182 = shl i64 %.176, 2
  %.183 = add i64 %.182, %.22
  %.184 = inttoptr i64 %.183 to ptr
  %.185 = load i32, ptr %.184, align 4
  %.187.not = icmp eq i32 %.185, 0
  br i1 %.187.not, label %B484, label %B302

B484:
  %at.3.1 = phi i64 [ %.76, %B0.endif ], [ %.176, %B428 ]
  %sunkaddr34 = inttoptr i64 %arg.s to ptr
  %sunkaddr35 = mul i64 %arg.table, 8
  %sunkaddr36 = getelementptr i8, ptr %sunkaddr34, i64 %sunkaddr35
  %sunkaddr37 = getelementptr i8, ptr %sunkaddr36, i64 56
  %.204 = load i64, ptr %sunkaddr37, align 8
  %.209 = add nsw i64 %.204, 1
  %sunkaddr38 = inttoptr i64 %arg.s to ptr
  %sunkaddr40 = mul i64 %arg.table, 8
  %sunkaddr41 = getelementptr i8, ptr %sunkaddr38, i64 %sunkaddr40
  %sunkaddr42 = getelementptr i8, ptr %sunkaddr41, i64 48
  %.216 = load i64, ptr %sunkaddr42, align 8
  %.217.not = icmp slt i64 %.209, %.216
  br i1 %.217.not, label %B608.endif.endif, label %common.ret

B608.endif.endif:
  %6 = inttoptr i64 %arg.record to ptr
  %7 = shl i64 %.204, 6
  %.363 = add i64 %7, %.29
  %.365 = inttoptr i64 %.363 to ptr
  store i64 %.134.i, ptr %.365, align 8
  %sunkaddr45 = getelementptr i8, ptr %6, i64 8
  %.361.1 = load i64, ptr %sunkaddr45, align 8
  %.364.1 = add i64 %.363, 8
  %.365.1 = inttoptr i64 %.364.1 to ptr
  store i64 %.361.1, ptr %.365.1, align 8
  %sunkaddr47 = getelementptr i8, ptr %6, i64 16
  %.361.2 = load i64, ptr %sunkaddr47, align 8
  %.364.2 = add i64 %.363, 16
  %.365.2 = inttoptr i64 %.364.2 to ptr
  store i64 %.361.2, ptr %.365.2, align 8
  %sunkaddr49 = getelementptr i8, ptr %6, i64 24
  %.361.3 = load i64, ptr %sunkaddr49, align 8
  %.364.3 = add i64 %.363, 24
  %.365.3 = inttoptr i64 %.364.3 to ptr
  store i64 %.361.3, ptr %.365.3, align 8
  %sunkaddr51 = getelementptr i8, ptr %6, i64 32
  %.361.4 = load i64, ptr %sunkaddr51, align 8
  %.364.4 = add i64 %.363, 32
  %.365.4 = inttoptr i64 %.364.4 to ptr
  store i64 %.361.4, ptr %.365.4, align 8
  %sunkaddr53 = getelementptr i8, ptr %6, i64 40
  %.361.5 = load i64, ptr %sunkaddr53, align 8
  %.364.5 = add i64 %.363, 40
  %.365.5 = inttoptr i64 %.364.5 to ptr
  store i64 %.361.5, ptr %.365.5, align 8
  %sunkaddr55 = getelementptr i8, ptr %6, i64 48
  %.361.6 = load i64, ptr %sunkaddr55, align 8
  %.364.6 = add i64 %.363, 48
  %.365.6 = inttoptr i64 %.364.6 to ptr
  store i64 %.361.6, ptr %.365.6, align 8
  %.359.7 = add i64 %arg.record, 56
  %.360.7 = inttoptr i64 %.359.7 to ptr
  %.361.7 = load i64, ptr %.360.7, align 8
  %.364.7 = add i64 %.363, 56
  %.365.7 = inttoptr i64 %.364.7 to ptr
  store i64 %.361.7, ptr %.365.7, align 8
  %sunkaddr43 = inttoptr i64 %arg.s to ptr
  %sunkaddr44 = mul i64 %arg.table, 8
  %sunkaddr46 = getelementptr i8, ptr %sunkaddr43, i64 %sunkaddr44
  %sunkaddr48 = getelementptr i8, ptr %sunkaddr46, i64 40
  %.382 = load i64, ptr %sunkaddr48, align 8
  %.385 = shl i64 %.204, 3
  %.386 = add i64 %.382, %.385
  %.387 = inttoptr i64 %.386 to ptr
  store i64 %arg.seen, ptr %.387, align 8
  %.395 = trunc i64 %.209 to i32
  %.396 = shl i64 %at.3.1, 2
  %.397 = add i64 %.396, %.22
  %.398 = inttoptr i64 %.397 to ptr
  store i32 %.395, ptr %.398, align 4
  %sunkaddr50 = inttoptr i64 %arg.s to ptr
  %sunkaddr52 = mul i64 %arg.table, 8
  %sunkaddr54 = getelementptr i8, ptr %sunkaddr50, i64 %sunkaddr52
  %sunkaddr56 = getelementptr i8, ptr %sunkaddr54, i64 56
  store i64 %.209, ptr %sunkaddr56, align 8
  br label %common.ret
}

define internal i32 @lane.16(ptr %retptr, ptr %excinfo, i64 %arg.kind, i64 %arg.seen, i64 %arg.s) {
B0.endif.endif:
  %.57.i1 = alloca i64, align 8
  %excinfo.1.i2 = alloca ptr, align 8
  %.372 = alloca i64, align 8
  %excinfo.5 = alloca ptr, align 8
  %.15 = add i64 %arg.s, 584
  %.16 = inttoptr i64 %.15 to ptr
  %.17 = load i64, ptr %.16, align 8
  %.19 = add nsw i64 %.17, 440
  %.144.1 = add i64 %.17, 448
  %.145.1 = inttoptr i64 %.144.1 to ptr
  store i64 -1, ptr %.145.1, align 8
  %.144.2 = add i64 %.17, 456
  %.145.2 = inttoptr i64 %.144.2 to ptr
  store i64 -1, ptr %.145.2, align 8
  %.144.3 = add i64 %.17, 464
  %.145.3 = inttoptr i64 %.144.3 to ptr
  store i64 -1, ptr %.145.3, align 8
  %.144.4 = add i64 %.17, 472
  %.145.4 = inttoptr i64 %.144.4 to ptr
  store i64 -1, ptr %.145.4, align 8
  %.144.5 = add i64 %.17, 480
  %.145.5 = inttoptr i64 %.144.5 to ptr
  store i64 -1, ptr %.145.5, align 8
  %.144.6 = add i64 %.17, 488
  %.145.6 = inttoptr i64 %.144.6 to ptr
  store i64 -1, ptr %.145.6, align 8
  %.144.7 = add i64 %.17, 496
  %.145.7 = inttoptr i64 %.144.7 to ptr
  store i64 -1, ptr %.145.7, align 8
  switch i64 %arg.kind, label %B624 [
    i64 2, label %B266.endif.endif
    i64 3, label %B266.endif.endif
    i64 4, label %B266.endif.endif
    i64 8, label %B266.endif.endif
    i64 7, label %B646
  ]

B624:
  br label %B646

B646:
  %"$phi646.4.2.0" = phi i64 [ 0, %B624 ], [ 2, %B0.endif.endif ]
  %0 = inttoptr i64 %.19 to ptr
  store i64 %"$phi646.4.2.0", ptr %0, align 8
  br label %B662

B662:
  %.29.i = add i64 %arg.s, 56
  %.30.i = inttoptr i64 %.29.i to ptr
  %.31.i = load i64, ptr %.30.i, align 8
  %.36.not.i = icmp eq i64 %.31.i, 0
  br i1 %.36.not.i, label %_ZN7llmprof10collectors5files7scanner9_identifyB3v34B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_281_29xx.exit.thread41, label %B86.i

_ZN7llmprof10collectors5files7scanner9_identifyB3v34B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_281_29xx.exit.thread41:
  %1 = inttoptr i64 %arg.s to ptr
  %sunkaddr2.i = getelementptr i8, ptr %1, i64 48
  %.21.i = load i64, ptr %sunkaddr2.i, align 8
  %sunkaddr = inttoptr i64 %.17 to ptr
  %sunkaddr63 = getelementptr i8, ptr %sunkaddr, i64 448
  store i64 %.21.i, ptr %sunkaddr63, align 8
  %sunkaddr65 = getelementptr i8, ptr %sunkaddr, i64 456
  store i64 0, ptr %sunkaddr65, align 8
  br label %B718

B86.i:
  %2 = inttoptr i64 %arg.s to ptr
  %sunkaddr6.i = getelementptr i8, ptr %2, i64 64
  %.44.i = load i64, ptr %sunkaddr6.i, align 8
  %sunkaddr10.i = getelementptr i8, ptr %2, i64 72
  %.54.i = load i64, ptr %sunkaddr10.i, align 8
  %.55.i = sub nsw i64 %.54.i, %.44.i
  store i64 0, ptr %.57.i1, align 8
  %.61.i = call i32 @intern.19(ptr nonnull %.57.i1, ptr nonnull %excinfo.1.i2, i64 %.44.i, i64 %.55.i, i64 %arg.s, i64 99, i64 0)
  %cond.i = icmp eq i32 %.61.i, 0
  br i1 %cond.i, label %_ZN7llmprof10collectors5files7scanner9_identifyB3v34B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_281_29xx.exit, label %B662.endif.thread

_ZN7llmprof10collectors5files7scanner9_identifyB3v34B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_281_29xx.exit:
  %.71.i = load i64, ptr %.57.i1, align 8
  %sunkaddr66 = inttoptr i64 %.17 to ptr
  %sunkaddr67 = getelementptr i8, ptr %sunkaddr66, i64 448
  store i64 %.71.i, ptr %sunkaddr67, align 8
  %sunkaddr69 = getelementptr i8, ptr %sunkaddr66, i64 456
  store i64 %.31.i, ptr %sunkaddr69, align 8
  %.120.i = icmp slt i64 %.71.i, 0
  br i1 %.120.i, label %B774, label %B718

B718:
  %.29.i3 = add i64 %arg.s, 88
  %.30.i4 = inttoptr i64 %.29.i3 to ptr
  %.31.i5 = load i64, ptr %.30.i4, align 8
  %.36.not.i6 = icmp eq i64 %.31.i5, 0
  br i1 %.36.not.i6, label %_ZN7llmprof10collectors5files7scanner9_identifyB3v38B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_283_29xx.exit.thread53, label %B86.i9

_ZN7llmprof10collectors5files7scanner9_identifyB3v38B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_283_29xx.exit.thread53:
  %3 = inttoptr i64 %arg.s to ptr
  %sunkaddr2.i8 = getelementptr i8, ptr %3, i64 80
  %.21.i29 = load i64, ptr %sunkaddr2.i8, align 8
  %sunkaddr70 = inttoptr i64 %.17 to ptr
  %sunkaddr71 = getelementptr i8, ptr %sunkaddr70, i64 464
  store i64 %.21.i29, ptr %sunkaddr71, align 8
  %sunkaddr73 = getelementptr i8, ptr %sunkaddr70, i64 472
  store i64 0, ptr %sunkaddr73, align 8
  br label %B788

B86.i9:
  %4 = inttoptr i64 %arg.s to ptr
  %sunkaddr6.i10 = getelementptr i8, ptr %4, i64 96
  %.44.i11 = load i64, ptr %sunkaddr6.i10, align 8
  %sunkaddr10.i12 = getelementptr i8, ptr %4, i64 104
  %.54.i13 = load i64, ptr %sunkaddr10.i12, align 8
  %.55.i14 = sub nsw i64 %.54.i13, %.44.i11
  store i64 0, ptr %.57.i1, align 8
  %.61.i15 = call i32 @intern.19(ptr nonnull %.57.i1, ptr nonnull %excinfo.1.i2, i64 %.44.i11, i64 %.55.i14, i64 %arg.s, i64 99, i64 0)
  %cond.i16 = icmp eq i32 %.61.i15, 0
  br i1 %cond.i16, label %_ZN7llmprof10collectors5files7scanner9_identifyB3v38B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_283_29xx.exit, label %B718.endif.thread

_ZN7llmprof10collectors5files7scanner9_identifyB3v38B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dEx23Literal_5bint_5d_283_29xx.exit:
  %.71.i20 = load i64, ptr %.57.i1, align 8
  %sunkaddr74 = inttoptr i64 %.17 to ptr
  %sunkaddr75 = getelementptr i8, ptr %sunkaddr74, i64 464
  store i64 %.71.i20, ptr %sunkaddr75, align 8
  %sunkaddr77 = getelementptr i8, ptr %sunkaddr74, i64 472
  store i64 %.31.i5, ptr %sunkaddr77, align 8
  %.120.i25 = icmp slt i64 %.71.i20, 0
  br i1 %.120.i25, label %B774, label %B788

common.ret:
  %common.ret.op = phi i32 [ 0, %B774 ], [ %.376, %B788.if.if ], [ 0, %B788.endif ], [ %.61.i, %B662.endif.thread ], [ %.61.i15, %B718.endif.thread ]
  ret i32 %common.ret.op

B774:
  store i64 -1, ptr %retptr, align 8
  br label %common.ret

B788:
  store i64 0, ptr %.372, align 8
  %.376 = call i32 @record_id.22(ptr nonnull %.372, ptr nonnull %excinfo.5, i64 %.19, i64 %arg.s, i64 115, i64 %arg.seen)
  %cond = icmp eq i32 %.376, 0
  br i1 %cond, label %B788.endif, label %B788.if.if

B266.endif.endif:
  %sunkaddr82 = inttoptr i64 %.17 to ptr
  %sunkaddr83 = getelementptr i8, ptr %sunkaddr82, i64 440
  store i64 1, ptr %sunkaddr83, align 8
  %.173 = add i64 %arg.s, 176
  %.174 = inttoptr i64 %.173 to ptr
  %.175 = load i64, ptr %.174, align 8
  %.13.i = tail call i64 @llvm.smax.i64(i64 %.175, i64 -1)
  %sunkaddr79 = getelementptr i8, ptr %sunkaddr82, i64 480
  store i64 %.13.i, ptr %sunkaddr79, align 8
  %.211 = add i64 %arg.s, 184
  %.212 = inttoptr i64 %.211 to ptr
  %.213 = load i64, ptr %.212, align 8
  %.13.i34 = tail call i64 @llvm.smax.i64(i64 %.213, i64 -1)
  %sunkaddr81 = getelementptr i8, ptr %sunkaddr82, i64 488
  store i64 %.13.i34, ptr %sunkaddr81, align 8
  br label %B662

B662.endif.thread:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B718.endif.thread:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B788.endif:
  %.386 = load i64, ptr %.372, align 8
  store i64 %.386, ptr %retptr, align 8
  br label %common.ret

B788.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @details.17(ptr %retptr, ptr %excinfo, i64 %arg.kind, i8 %arg.comms, i64 %arg.row, i64 %arg.s) {
entry:
  %.70 = alloca i64, align 8
  %excinfo.1 = alloca ptr, align 8
  %.125 = alloca i64, align 8
  %excinfo.2 = alloca ptr, align 8
  switch i64 %arg.kind, label %B76.fold.split [
    i64 0, label %B76
    i64 2, label %B80
  ]

B76.fold.split:
  br label %B76

B76:
  %"$phi52.0.2.057" = phi i64 [ %arg.kind, %entry ], [ 3, %B76.fold.split ]
  %0 = icmp eq i8 %arg.comms, 0
  br i1 %0, label %B176, label %B80

B80:
  %"$phi52.0.2.056" = phi i64 [ %"$phi52.0.2.057", %B76 ], [ 3, %entry ]
  %.52 = add i64 %arg.s, 264
  %.53 = inttoptr i64 %.52 to ptr
  %.54 = load i64, ptr %.53, align 8
  %.55 = icmp sgt i64 %.54, -1
  %spec.select59 = select i1 %.55, i64 14, i64 3
  br label %B176

B176:
  %"$phi52.0.2.054" = phi i64 [ %"$phi52.0.2.056", %B80 ], [ %"$phi52.0.2.057", %B76 ]
  %"$phi176.0.2.0" = phi i64 [ %spec.select59, %B80 ], [ 3, %B76 ]
  store i64 0, ptr %.70, align 8
  %.74 = call i32 @gather.23(ptr nonnull %.70, ptr nonnull %excinfo.1, i64 %"$phi52.0.2.054", i64 %"$phi176.0.2.0", i64 %arg.s)
  %.84 = load i64, ptr %.70, align 8
  switch i32 %.74, label %B176.if.if [
    i32 -2, label %B176.endif
    i32 0, label %B176.endif
  ]

common.ret:
  %common.ret.op = phi i32 [ 0, %B224 ], [ 0, %B378 ], [ 0, %B842 ], [ %.74, %B176.if.if ], [ %.129, %B260.if.if ]
  ret i32 %common.ret.op

B224:
  store i64 5, ptr %retptr, align 8
  br label %common.ret

B248:
  %.115.not = icmp eq i64 %.84, 0
  br i1 %.115.not, label %B458, label %B260

B260:
  %.120 = add i64 %arg.s, 608
  %.121 = inttoptr i64 %.120 to ptr
  %.122 = load i64, ptr %.121, align 8
  store i64 0, ptr %.125, align 8
  %.129 = call i32 @intern.19(ptr nonnull %.125, ptr nonnull %excinfo.2, i64 %.122, i64 %.84, i64 %arg.s, i64 107, i64 0)
  %.139 = load i64, ptr %.125, align 8
  %cond = icmp eq i32 %.129, 0
  br i1 %cond, label %B260.endif, label %B260.if.if

B378:
  store i64 3, ptr %retptr, align 8
  br label %common.ret

B402:
  %.9.i = add i64 %arg.s, 520
  %.10.i = inttoptr i64 %.9.i to ptr
  %.11.i = load i64, ptr %.10.i, align 8
  %.13.i = add i64 %arg.s, 704
  %.14.i = inttoptr i64 %.13.i to ptr
  %.15.i = load i64, ptr %.14.i, align 8
  %.16.i = trunc i64 %arg.row to i32
  %.17.i = shl i64 %.11.i, 2
  %.18.i = add i64 %.15.i, %.17.i
  %.19.i = inttoptr i64 %.18.i to ptr
  store i32 %.16.i, ptr %.19.i, align 4
  %.22.i = add i64 %arg.s, 712
  %.23.i = inttoptr i64 %.22.i to ptr
  %.24.i = load i64, ptr %.23.i, align 8
  %.27.i = add i64 %.24.i, %.11.i
  %.28.i = inttoptr i64 %.27.i to ptr
  store i8 0, ptr %.28.i, align 1
  %.31.i = add i64 %arg.s, 720
  %.32.i = inttoptr i64 %.31.i to ptr
  %.33.i = load i64, ptr %.32.i, align 8
  %.34.i = shl i64 %.11.i, 3
  %.35.i = add i64 %.33.i, %.34.i
  %.36.i = inttoptr i64 %.35.i to ptr
  store i64 %.139, ptr %.36.i, align 8
  %.38.i = add nsw i64 %.11.i, 1
  store i64 %.38.i, ptr %.10.i, align 8
  br label %B458

B458:
  switch i64 %arg.kind, label %B842 [
    i64 3, label %B480
    i64 7, label %B678
  ]

B480:
  %.205 = add i64 %arg.s, 192
  %.206 = inttoptr i64 %.205 to ptr
  %.207 = load i64, ptr %.206, align 8
  %.208.not = icmp eq i64 %.207, -9223372036854775808
  br i1 %.208.not, label %B842, label %B842.sink.split

B678:
  %.256 = add i64 %arg.s, 184
  %.257 = inttoptr i64 %.256 to ptr
  %.258 = load i64, ptr %.257, align 8
  %.259 = icmp sgt i64 %.258, -1
  br i1 %.259, label %B842.sink.split, label %B842

B842.sink.split:
  %.sink = phi i8 [ 1, %B480 ], [ 2, %B678 ]
  %.258.sink = phi i64 [ %.207, %B480 ], [ %.258, %B678 ]
  %.9.i23 = add i64 %arg.s, 520
  %.10.i24 = inttoptr i64 %.9.i23 to ptr
  %.11.i25 = load i64, ptr %.10.i24, align 8
  %.13.i26 = add i64 %arg.s, 704
  %.14.i27 = inttoptr i64 %.13.i26 to ptr
  %.15.i28 = load i64, ptr %.14.i27, align 8
  %.16.i29 = trunc i64 %arg.row to i32
  %.17.i30 = shl i64 %.11.i25, 2
  %.18.i31 = add i64 %.15.i28, %.17.i30
  %.19.i32 = inttoptr i64 %.18.i31 to ptr
  store i32 %.16.i29, ptr %.19.i32, align 4
  %.22.i33 = add i64 %arg.s, 712
  %.23.i34 = inttoptr i64 %.22.i33 to ptr
  %.24.i35 = load i64, ptr %.23.i34, align 8
  %.27.i36 = add i64 %.24.i35, %.11.i25
  %.28.i37 = inttoptr i64 %.27.i36 to ptr
  store i8 %.sink, ptr %.28.i37, align 1
  %.31.i38 = add i64 %arg.s, 720
  %.32.i39 = inttoptr i64 %.31.i38 to ptr
  %.33.i40 = load i64, ptr %.32.i39, align 8
  %.34.i41 = shl i64 %.11.i25, 3
  %.35.i42 = add i64 %.33.i40, %.34.i41
  %.36.i43 = inttoptr i64 %.35.i42 to ptr
  store i64 %.258.sink, ptr %.36.i43, align 8
  %.38.i44 = add nsw i64 %.11.i25, 1
  store i64 %.38.i44, ptr %.10.i24, align 8
  br label %B842

B842:
  store i64 0, ptr %retptr, align 8
  br label %common.ret

B176.endif:
  %.102 = icmp slt i64 %.84, 0
  br i1 %.102, label %B224, label %B248

B176.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret

B260.endif:
  %.155 = icmp slt i64 %.139, 0
  br i1 %.155, label %B378, label %B402

B260.if.if:
  store ptr null, ptr %excinfo, align 8
  br label %common.ret
}

define internal i32 @intern.18(ptr %retptr, ptr %excinfo, i64 %arg.a, i64 %arg.n, i64 %arg.s, i64 %arg.table, i64 %arg.seen) {
B0:
  %const = bitcast i64 -7046029254386353131 to i64
  %arg.n.fr = freeze i64 %arg.n
  %.20 = shl i64 %arg.table, 3
  %.22 = add i64 %.20, %arg.s
  %.23 = add i64 %.22, 24
  %.24 = inttoptr i64 %.23 to ptr
  %.25 = load i64, ptr %.24, align 8
  %.30 = add i64 %.22, 16
  %.31 = inttoptr i64 %.30 to ptr
  %.32 = load i64, ptr %.31, align 8
  %.38 = inttoptr i64 %.22 to ptr
  %.39 = load i64, ptr %.38, align 8
  %.53 = add i64 %.22, 32
  %.54 = inttoptr i64 %.53 to ptr
  %.55 = load i64, ptr %.54, align 8
  %.56 = add nsw i64 %.55, -1
  %.18.i = mul i64 %arg.n.fr, %const
  %.25.i = icmp sgt i64 %arg.n.fr, 7
  br i1 %.25.i, label %B72.preheader.i, label %B46.i.i

B72.preheader.i:
  %0 = add nsw i64 %arg.n.fr, -8
  %1 = and i64 %0, 8
  %lcmp.mod.not.not.i = icmp eq i64 %1, 0
  br i1 %lcmp.mod.not.not.i, label %B72.prol.loopexit.i, label %B72.i.preheader

B72.prol.loopexit.i:
  %.28.prol.i = inttoptr i64 %arg.a to ptr
  %.29.prol.i = load i64, ptr %.28.prol.i, align 1
  %.31.prol.i = xor i64 %.29.prol.i, %.18.i
  %.32.prol.i = mul i64 %.31.prol.i, %const
  %.33.prol.i = lshr i64 %.32.prol.i, 29
  %.34.prol.i = xor i64 %.33.prol.i, %.32.prol.i
  %.40.prol.i = add nsw i64 %arg.a, 8
  %2 = icmp ult i64 %arg.n.fr, 16
  br i1 %2, label %B46.i.i, label %B72.i.preheader

B72.i.preheader:
  %a.2.0.i.ph = phi i64 [ %.40.prol.i, %B72.prol.loopexit.i ], [ %arg.a, %B72.preheader.i ]
  %n.2.0.i.ph = phi i64 [ %0, %B72.prol.loopexit.i ], [ %arg.n.fr, %B72.preheader.i ]
  %found.4.0.i.ph = phi i64 [ %.34.prol.i, %B72.prol.loopexit.i ], [ %.18.i, %B72.preheader.i ]
  br label %B72.i

B72.i:
  %a.2.0.i = phi i64 [ %6, %B72.i ], [ %a.2.0.i.ph, %B72.i.preheader ]
  %n.2.0.i = phi i64 [ %.42.1.i, %B72.i ], [ %n.2.0.i.ph, %B72.i.preheader ]
  %found.4.0.i = phi i64 [ %.34.1.i, %B72.i ], [ %found.4.0.i.ph, %B72.i.preheader ]
  %.28.i = inttoptr i64 %a.2.0.i to ptr
  %.29.i = load i64, ptr %.28.i, align 1
  %.31.i = xor i64 %.29.i, %found.4.0.i
  %.32.i = mul i64 %.31.i, %const
  %.33.i = lshr i64 %.32.i, 29
  %3 = add i64 %a.2.0.i, 8
  %.28.1.i = inttoptr i64 %3 to ptr
  %.29.1.i = load i64, ptr %.28.1.i, align 1
  %4 = xor i64 %.29.1.i, %.33.i
  %.31.1.i = xor i64 %4, %.32.i
  %.32.1.i = mul i64 %.31.1.i, %const
  %.33.1.i = lshr i64 %.32.1.i, 29
  %.34.1.i = xor i64 %.33.1.i, %.32.1.i
  %.42.1.i = add nsw i64 %n.2.0.i, -16
  %5 = add i64 %a.2.0.i, 16
  %.51.1.i = icmp ugt i64 %.42.1.i, 7
  %6 = add i64 %3, 8
  br i1 %.51.1.i, label %B72.i, label %B46.i.i

B46.i.i:
  %a.3.1.i = phi i64 [ %arg.a, %B0 ], [ %.40.prol.i, %B72.prol.loopexit.i ], [ %5, %B72.i ]
  %n.3.1.i = phi i64 [ %arg.n.fr, %B0 ], [ %0, %B72.prol.loopexit.i ], [ %.42.1.i, %B72.i ]
  %found.5.1.i = phi i64 [ %.18.i, %B0 ], [ %.34.prol.i, %B72.prol.loopexit.i ], [ %.34.1.i, %B72.i ]
  %.23.i.i = icmp slt i64 %n.3.1.i, 1
  br i1 %.23.i.i, label %B0.endif, label %B98.i.i

B98.i.i:
  %.32.i.i = inttoptr i64 %a.3.1.i to ptr
  %.33.i.i = load i64, ptr %.32.i.i, align 1
  %.37.i.i = shl nuw nsw i64 %n.3.1.i, 3
  %.40.i.i = sub nuw nsw i64 64, %.37.i.i
  %.41.i.i = lshr i64 -1, %.40.i.i
  %.42.i.i = and i64 %.33.i.i, %.41.i.i
  %7 = xor i64 %.42.i.i, %found.5.1.i
  br label %B0.endif

B352:
  %at.2.0 = phi i64 [ %.216, %B518 ], [ %.90, %B352.preheader10 ]
  %.112 = shl i64 %at.2.0, 2
  %.113 = add i64 %.112, %.25
  %.114 = inttoptr i64 %.113 to ptr
  %.115 = load i32, ptr %.114, align 4
  %.116 = sext i32 %.115 to i64
  %.117 = add nsw i64 %.116, -1
  %.123 = shl nsw i64 %.117, 3
  %.124 = add i64 %.123, %.32
  %.125 = inttoptr i64 %.124 to ptr
  %.126 = load i64, ptr %.125, align 8
  %.133 = shl nsw i64 %.116, 3
  %.134 = add i64 %.133, %.32
  %.135 = inttoptr i64 %.134 to ptr
  %.136 = load i64, ptr %.135, align 8
  %.138 = sub nsw i64 %.136, %.126
  %.140 = icmp eq i64 %.138, %arg.n.fr
  br i1 %.140, label %B474, label %B518

B474:
  %.145 = add nsw i64 %.126, %.39
  %sunkaddr = inttoptr i64 %arg.a to ptr
  %.33.i.i11 = load i64, ptr %sunkaddr, align 1
  %.32.i5.i = inttoptr i64 %.145 to ptr
  %.33.i6.i = load i64, ptr %.32.i5.i, align 1
  %8 = xor i64 %.33.i6.i, %.33.i.i11
  %9 = and i64 %8, %.41.i.i14
  %.not = icmp eq i64 %9, 0
  br i1 %.not, label %common.ret, label %B518

common.ret:
  %.244.sink = phi i64 [ %.244, %B906 ], [ %.117.us, %B46.i.i6.loopexit.us ], [ %.117.us31, %B352.us24 ], [ -1, %B716 ], [ -1, %B574 ], [ %.117.us, %_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us ], [ %.117, %B474 ]
  store i64 %.244.sink, ptr %retptr, align 8
  ret i32 0

B518:
  %.214 = add nsw i64 %at.2.0, 1
  %.216 = and i64 %.214, %.56
  %.222 = shl i64 %.216, 2
  %.223 = add i64 %.222, %.25
  %.224 = inttoptr i64 %.223 to ptr
  %.225 = load i32, ptr %.224, align 4
  %.227.not = icmp eq i32 %.225, 0
  br i1 %.227.not, label %B574, label %B352

B574:
  %at.3.1 = phi i64 [ %.90, %B0.endif ], [ %.216.us, %B518.us ], [ %.216.us46, %B518.us44 ], [ %.216, %B518 ]
  %sunkaddr51 = inttoptr i64 %arg.s to ptr
  %sunkaddr52 = mul i64 %arg.table, 8
  %sunkaddr53 = getelementptr i8, ptr %sunkaddr51, i64 %sunkaddr52
  %sunkaddr54 = getelementptr i8, ptr %sunkaddr53, i64 56
  %.244 = load i64, ptr %sunkaddr54, align 8
  %.250 = shl i64 %.244, 3
  %.251 = add i64 %.250, %.32
  %.252 = inttoptr i64 %.251 to ptr
  %.253 = load i64, ptr %.252, align 8
  %.258 = add nsw i64 %.244, 1
  %sunkaddr56 = inttoptr i64 %arg.s to ptr
  %sunkaddr58 = mul i64 %arg.table, 8
  %sunkaddr60 = getelementptr i8, ptr %sunkaddr56, i64 %sunkaddr58
  %sunkaddr61 = getelementptr i8, ptr %sunkaddr60, i64 48
  %.265 = load i64, ptr %sunkaddr61, align 8
  %.266.not = icmp slt i64 %.258, %.265
  br i1 %.266.not, label %B716, label %common.ret

B716:
  %.270 = add nsw i64 %.253, %arg.n.fr
  %.271 = add nsw i64 %.270, 64
  %sunkaddr62 = inttoptr i64 %arg.s to ptr
  %sunkaddr63 = mul i64 %arg.table, 8
  %sunkaddr64 = getelementptr i8, ptr %sunkaddr62, i64 %sunkaddr63
  %sunkaddr65 = getelementptr i8, ptr %sunkaddr64, i64 8
  %.278 = load i64, ptr %sunkaddr65, align 8
  %.279 = icmp sgt i64 %.271, %.278
  br i1 %.279, label %common.ret, label %B798.endif

B830:
  %.391152154 = phi i64 [ 0, %B830.lr.ph.new ], [ %.398.3, %B830 ]
  %10 = add i64 %arg.a, %.391152154
  %.428 = inttoptr i64 %10 to ptr
  %.429 = load i8, ptr %.428, align 1
  %11 = add i64 %33, %.391152154
  %.434 = inttoptr i64 %11 to ptr
  store i8 %.429, ptr %.434, align 1
  %12 = add i64 %arg.a, %.391152154
  %13 = add i64 %12, 1
  %.428.1 = inttoptr i64 %13 to ptr
  %.429.1 = load i8, ptr %.428.1, align 1
  %14 = add i64 %33, %.391152154
  %15 = add i64 %14, 1
  %.434.1 = inttoptr i64 %15 to ptr
  store i8 %.429.1, ptr %.434.1, align 1
  %16 = add i64 %arg.a, %.391152154
  %17 = add i64 %16, 2
  %.428.2 = inttoptr i64 %17 to ptr
  %.429.2 = load i8, ptr %.428.2, align 1
  %18 = add i64 %33, %.391152154
  %19 = add i64 %18, 2
  %.434.2 = inttoptr i64 %19 to ptr
  store i8 %.429.2, ptr %.434.2, align 1
  %.398.3 = add nuw nsw i64 %.391152154, 4
  %20 = add i64 %arg.a, %.391152154
  %21 = add i64 %20, 3
  %.428.3 = inttoptr i64 %21 to ptr
  %.429.3 = load i8, ptr %.428.3, align 1
  %22 = add i64 %33, %.391152154
  %23 = add i64 %22, 3
  %.434.3 = inttoptr i64 %23 to ptr
  store i8 %.429.3, ptr %.434.3, align 1
  %niter.ncmp.3 = icmp eq i64 %unroll_iter, %.398.3
  br i1 %niter.ncmp.3, label %B906.loopexit.unr-lcssa, label %B830

B906.loopexit.unr-lcssa:
  %lcmp.mod.not = icmp eq i64 %xtraiter, 0
  br i1 %lcmp.mod.not, label %B906, label %B830.epil.preheader

B830.epil.preheader:
  %.pre-phi = phi i64 [ %.pre, %B830.lr.ph.B830.epil.preheader_crit_edge ], [ %33, %B906.loopexit.unr-lcssa ]
  %.391152154.epil.init = phi i64 [ 0, %B830.lr.ph.B830.epil.preheader_crit_edge ], [ %unroll_iter, %B906.loopexit.unr-lcssa ]
  %24 = add i64 %.391152154.epil.init, %.pre-phi
  %25 = add nsw i64 %.391152154.epil.init, %arg.a
  br label %B830.epil

B830.epil:
  %lsr.iv104 = phi i64 [ %lsr.iv.next105, %B830.epil ], [ %xtraiter, %B830.epil.preheader ]
  %lsr.iv102 = phi i64 [ %lsr.iv.next103, %B830.epil ], [ %25, %B830.epil.preheader ]
  %lsr.iv = phi i64 [ %lsr.iv.next, %B830.epil ], [ %24, %B830.epil.preheader ]
  %.428.epil = inttoptr i64 %lsr.iv102 to ptr
  %.429.epil = load i8, ptr %.428.epil, align 1
  %.434.epil = inttoptr i64 %lsr.iv to ptr
  store i8 %.429.epil, ptr %.434.epil, align 1
  %lsr.iv.next = add i64 %lsr.iv, 1
  %lsr.iv.next103 = add i64 %lsr.iv102, 1
  %lsr.iv.next105 = add nsw i64 %lsr.iv104, -1
  %epil.iter.cmp.not = icmp eq i64 %lsr.iv.next105, 0
  br i1 %epil.iter.cmp.not, label %B906, label %B830.epil

B906:
  %sunkaddr66 = inttoptr i64 %.32 to ptr
  %sunkaddr67 = mul i64 %.244, 8
  %sunkaddr68 = getelementptr i8, ptr %sunkaddr66, i64 %sunkaddr67
  %sunkaddr69 = getelementptr i8, ptr %sunkaddr68, i64 8
  store i64 %.270, ptr %sunkaddr69, align 8
  %sunkaddr70 = inttoptr i64 %arg.s to ptr
  %sunkaddr71 = mul i64 %arg.table, 8
  %sunkaddr72 = getelementptr i8, ptr %sunkaddr70, i64 %sunkaddr71
  %sunkaddr73 = getelementptr i8, ptr %sunkaddr72, i64 40
  %.467 = load i64, ptr %sunkaddr73, align 8
  %sunkaddr74 = inttoptr i64 %.467 to ptr
  %sunkaddr75 = mul i64 %.244, 8
  %sunkaddr76 = getelementptr i8, ptr %sunkaddr74, i64 %sunkaddr75
  store i64 %arg.seen, ptr %sunkaddr76, align 8
  %.480 = trunc i64 %.258 to i32
  %.481 = shl i64 %at.3.1, 2
  %.482 = add i64 %.481, %.25
  %.483 = inttoptr i64 %.482 to ptr
  store i32 %.480, ptr %.483, align 4
  %sunkaddr77 = inttoptr i64 %arg.s to ptr
  %sunkaddr78 = mul i64 %arg.table, 8
  %sunkaddr79 = getelementptr i8, ptr %sunkaddr77, i64 %sunkaddr78
  %sunkaddr80 = getelementptr i8, ptr %sunkaddr79, i64 56
  store i64 %.258, ptr %sunkaddr80, align 8
  br label %common.ret

B0.endif:
  %.42.sink.i.i = phi i64 [ %7, %B98.i.i ], [ %found.5.1.i, %B46.i.i ]
  %.96.i = mul i64 %.42.sink.i.i, %const
  %.97.i = lshr i64 %.96.i, 32
  %.98.i = xor i64 %.97.i, %.96.i
  %.90 = and i64 %.98.i, %.56
  %.98 = shl i64 %.90, 2
  %.99 = add i64 %.98, %.25
  %.100 = inttoptr i64 %.99 to ptr
  %.101 = load i32, ptr %.100, align 4
  %.103.not = icmp eq i32 %.101, 0
  br i1 %.103.not, label %B574, label %B352.preheader

B352.preheader:
  %26 = icmp sgt i64 %arg.n.fr, 7
  %27 = shl i64 %arg.n.fr, 3
  %28 = sub i64 64, %27
  br i1 %26, label %B352.us.preheader, label %B352.preheader.split

B352.us.preheader:
  %29 = add nuw i64 %arg.n.fr, 8
  br label %B352.us

B352.us:
  %at.2.0.us = phi i64 [ %.216.us, %B518.us ], [ %.90, %B352.us.preheader ]
  %.112.us = shl i64 %at.2.0.us, 2
  %.113.us = add i64 %.112.us, %.25
  %.114.us = inttoptr i64 %.113.us to ptr
  %.115.us = load i32, ptr %.114.us, align 4
  %.116.us = sext i32 %.115.us to i64
  %.117.us = add nsw i64 %.116.us, -1
  %.123.us = shl nsw i64 %.117.us, 3
  %.124.us = add i64 %.123.us, %.32
  %.125.us = inttoptr i64 %.124.us to ptr
  %.126.us = load i64, ptr %.125.us, align 8
  %.133.us = shl nsw i64 %.116.us, 3
  %.134.us = add i64 %.133.us, %.32
  %.135.us = inttoptr i64 %.134.us to ptr
  %.136.us = load i64, ptr %.135.us, align 8
  %.138.us = sub nsw i64 %.136.us, %.126.us
  %.140.us = icmp eq i64 %.138.us, %arg.n.fr
  br i1 %.140.us, label %B474.us, label %B518.us

B474.us:
  %.145.us = add nsw i64 %.126.us, %.39
  br label %B16.i.us

B16.i.us:
  %lsr.iv108 = phi i64 [ %28, %B474.us ], [ %lsr.iv.next109, %B84.i.us ]
  %lsr.iv106 = phi i64 [ %29, %B474.us ], [ %lsr.iv.next107, %B84.i.us ]
  %a.2.0.i15.us = phi i64 [ %arg.a, %B474.us ], [ %.54.i.us, %B84.i.us ]
  %b.2.0.i.us = phi i64 [ %.145.us, %B474.us ], [ %.56.i.us, %B84.i.us ]
  %.37.i.us = inttoptr i64 %a.2.0.i15.us to ptr
  %.38.i.us = load i64, ptr %.37.i.us, align 1
  %.40.i.us = inttoptr i64 %b.2.0.i.us to ptr
  %.41.i.us = load i64, ptr %.40.i.us, align 1
  %.42.not.i.us = icmp eq i64 %.38.i.us, %.41.i.us
  br i1 %.42.not.i.us, label %B84.i.us, label %B518.us

B84.i.us:
  %.54.i.us = add i64 %a.2.0.i15.us, 8
  %.56.i.us = add i64 %b.2.0.i.us, 8
  %lsr.iv.next107 = add i64 %lsr.iv106, -8
  %lsr.iv.next109 = add i64 %lsr.iv108, 64
  %.71.i.us = icmp sgt i64 %lsr.iv.next107, 15
  br i1 %.71.i.us, label %B16.i.us, label %B46.i.i6.loopexit.us

_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us:
  %.32.i.i10.us = inttoptr i64 %.54.i.us to ptr
  %.33.i.i11.us = load i64, ptr %.32.i.i10.us, align 1
  %.41.i.i14.us = lshr i64 -1, %lsr.iv.next109
  %.32.i5.i.us = inttoptr i64 %.56.i.us to ptr
  %.33.i6.i.us = load i64, ptr %.32.i5.i.us, align 1
  %30 = xor i64 %.33.i6.i.us, %.33.i.i11.us
  %31 = and i64 %30, %.41.i.i14.us
  %.not.us = icmp eq i64 %31, 0
  br i1 %.not.us, label %common.ret, label %B518.us

B518.us:
  %.214.us = add nsw i64 %at.2.0.us, 1
  %.216.us = and i64 %.214.us, %.56
  %.222.us = shl i64 %.216.us, 2
  %.223.us = add i64 %.222.us, %.25
  %.224.us = inttoptr i64 %.223.us to ptr
  %.225.us = load i32, ptr %.224.us, align 4
  %.227.not.us = icmp eq i32 %.225.us, 0
  br i1 %.227.not.us, label %B574, label %B352.us

B46.i.i6.loopexit.us:
  %.23.i.i9.us = icmp slt i64 %lsr.iv.next107, 9
  br i1 %.23.i.i9.us, label %common.ret, label %_ZN7llmprof10collectors5files14scanner_values4sameB3v37B54c8tJTIeFIjxB2IKSgI4CrvQClUaPLCRh1KiFSRTBdCIlJbCIJgA_3dExxx.exit.us

B352.preheader.split:
  %.23.i.i9 = icmp slt i64 %arg.n.fr, 1
  %.41.i.i14 = lshr i64 -1, %28
  br i1 %.23.i.i9, label %B352.us24.preheader, label %B352.preheader10

B352.us24.preheader:
  br label %B352.us24

B352.preheader10:
  br label %B352

B352.us24:
  %at.2.0.us25 = phi i64 [ %.216.us46, %B518.us44 ], [ %.90, %B352.us24.preheader ]
  %.112.us26 = shl i64 %at.2.0.us25, 2
  %.113.us27 = add i64 %.112.us26, %.25
  %.114.us28 = inttoptr i64 %.113.us27 to ptr
  %.115.us29 = load i32, ptr %.114.us28, align 4
  %.116.us30 = sext i32 %.115.us29 to i64
  %.117.us31 = add nsw i64 %.116.us30, -1
  %.123.us32 = shl nsw i64 %.117.us31, 3
  %.124.us33 = add i64 %.123.us32, %.32
  %.125.us34 = inttoptr i64 %.124.us33 to ptr
  %.126.us35 = load i64, ptr %.125.us34, align 8
  %.133.us36 = shl nsw i64 %.116.us30, 3
  %.134.us37 = add i64 %.133.us36, %.32
  %.135.us38 = inttoptr i64 %.134.us37 to ptr
  %.136.us39 = load i64, ptr %.135.us38, align 8
  %.138.us40 = sub nsw i64 %.136.us39, %.126.us35
  %.140.us41 = icmp eq i64 %.138.us40, %arg.n.fr
  br i1 %.140.us41, label %common.ret, label %B518.us44

B518.us44:
  %.214.us45 = add nsw i64 %at.2.0.us25, 1
  %.216.us46 = and i64 %.214.us45, %.56
  %.222.us47 = shl i64 %.216.us46, 2
  %.223.us48 = add i64 %.222.us47, %.25
  %.224.us49 = inttoptr i64 %.223.us48 to ptr
  %.225.us50 = load i32, ptr %.224.us49, align 4
  %.227.not.us51 = icmp eq i32 %.225.us50, 0
  br i1 %.227.not.us51, label %B574, label %B352.us24

B798.endif:
  %.385153.not = icmp slt i64 %arg.n.fr, 1
  br i1 %.385153.not, label %B906, label %B830.lr.ph

B830.lr.ph:
  %xtraiter = and i64 %arg.n.fr, 3
  %32 = icmp ult i64 %arg.n.fr, 4
  br i1 %32, label %B830.lr.ph.B830.epil.preheader_crit_edge, label %B830.lr.ph.new

B830.lr.ph.B830.epil.preheader_crit_edge:
  %.pre = add i64 %.253, %.39
  br label %B830.epil.preheader

B830.lr.ph.new:
  %unroll_iter = and i64 %arg.n.fr, 9223372036854775804
  %33 = add i64 %.253, %.39
  br label %B830
}

define internal i32 @gather.23(ptr %retptr, ptr %excinfo, i64 %arg.first, i64 %arg.last, i64 %arg.s) {
B0.endif:
  %.14 = add i64 %arg.s, 608
  %.15 = inttoptr i64 %.14 to ptr
  %.16 = load i64, ptr %.15, align 8
  %.56 = sub i64 %arg.last, %arg.first
  %.101144.not = icmp slt i64 %.56, 1
  br i1 %.101144.not, label %common.ret, label %B94.lr.ph

B94.lr.ph:
  %.340 = add i64 %.16, 1
  br label %B94

B94:
  %size.2.0149 = phi i64 [ 0, %B94.lr.ph ], [ %size.3.1, %B547 ]
  %.100134148 = phi i64 [ %.56, %B94.lr.ph ], [ %.110, %B547 ]
  %.107136147 = phi i64 [ %arg.first, %B94.lr.ph ], [ %.114, %B547 ]
  %0 = inttoptr i64 %arg.s to ptr
  %.110 = add nsw i64 %.100134148, -1
  %.114 = add i64 %.107136147, 1
  %.143 = shl i64 %.107136147, 4
  %sunkaddr6 = getelementptr i8, ptr %0, i64 %.143
  %sunkaddr7 = getelementptr i8, ptr %sunkaddr6, i64 216
  %.149 = load i64, ptr %sunkaddr7, align 8
  %sunkaddr10 = getelementptr i8, ptr %sunkaddr6, i64 224
  %.161 = load i64, ptr %sunkaddr10, align 8
  %.163 = sub i64 %.161, %.149
  %.168 = icmp slt i64 %.149, 0
  br i1 %.168, label %B547, label %B250

B250:
  %.185 = add i64 %size.2.0149, 2
  %.186 = add i64 %.185, %.163
  %sunkaddr = inttoptr i64 %arg.s to ptr
  %sunkaddr1 = getelementptr i8, ptr %sunkaddr, i64 616
  %.191 = load i64, ptr %sunkaddr1, align 8
  %.192 = icmp sgt i64 %.186, %.191
  br i1 %.192, label %common.ret, label %B328.endif

common.ret:
  %storemerge126 = phi i64 [ 0, %B0.endif ], [ -1, %B250 ], [ %size.3.1, %B547 ]
  store i64 %storemerge126, ptr %retptr, align 8
  ret i32 0

B400:
  %.307129131 = phi i64 [ 0, %B400.preheader.new ], [ %.314.3, %B400 ]
  %1 = add i64 %.149, %.307129131
  %.344 = inttoptr i64 %1 to ptr
  %.345 = load i8, ptr %.344, align 1
  %2 = add i64 %.218, %.307129131
  %3 = add i64 %2, 1
  %.351 = inttoptr i64 %3 to ptr
  store i8 %.345, ptr %.351, align 1
  %4 = add i64 %.149, %.307129131
  %5 = add i64 %4, 1
  %.344.1 = inttoptr i64 %5 to ptr
  %.345.1 = load i8, ptr %.344.1, align 1
  %6 = add i64 %.218, %.307129131
  %7 = add i64 %6, 2
  %.351.1 = inttoptr i64 %7 to ptr
  store i8 %.345.1, ptr %.351.1, align 1
  %8 = add i64 %.149, %.307129131
  %9 = add i64 %8, 2
  %.344.2 = inttoptr i64 %9 to ptr
  %.345.2 = load i8, ptr %.344.2, align 1
  %10 = add i64 %.218, %.307129131
  %11 = add i64 %10, 3
  %.351.2 = inttoptr i64 %11 to ptr
  store i8 %.345.2, ptr %.351.2, align 1
  %.314.3 = add nuw i64 %.307129131, 4
  %12 = add i64 %.149, %.307129131
  %13 = add i64 %12, 3
  %.344.3 = inttoptr i64 %13 to ptr
  %.345.3 = load i8, ptr %.344.3, align 1
  %14 = add i64 %.218, %.307129131
  %15 = add i64 %14, 4
  %.351.3 = inttoptr i64 %15 to ptr
  store i8 %.345.3, ptr %.351.3, align 1
  %niter.ncmp.3 = icmp eq i64 %unroll_iter, %.314.3
  br i1 %niter.ncmp.3, label %B482.loopexit.unr-lcssa, label %B400

B482.loopexit.unr-lcssa:
  %lcmp.mod.not = icmp eq i64 %xtraiter, 0
  br i1 %lcmp.mod.not, label %B482, label %B400.epil.preheader

B400.epil.preheader:
  %.307129131.epil.init = phi i64 [ 0, %B400.preheader ], [ %unroll_iter, %B482.loopexit.unr-lcssa ]
  %16 = add i64 %.307129131.epil.init, %.pre
  %17 = add nuw nsw i64 %.307129131.epil.init, %.149
  br label %B400.epil

B400.epil:
  %lsr.iv4 = phi i64 [ %lsr.iv.next5, %B400.epil ], [ %xtraiter, %B400.epil.preheader ]
  %lsr.iv2 = phi i64 [ %lsr.iv.next3, %B400.epil ], [ %17, %B400.epil.preheader ]
  %lsr.iv = phi i64 [ %lsr.iv.next, %B400.epil ], [ %16, %B400.epil.preheader ]
  %.344.epil = inttoptr i64 %lsr.iv2 to ptr
  %.345.epil = load i8, ptr %.344.epil, align 1
  %.351.epil = inttoptr i64 %lsr.iv to ptr
  store i8 %.345.epil, ptr %.351.epil, align 1
  %lsr.iv.next = add i64 %lsr.iv, 1
  %lsr.iv.next3 = add i64 %lsr.iv2, 1
  %lsr.iv.next5 = add nsw i64 %lsr.iv4, -1
  %epil.iter.cmp.not = icmp eq i64 %lsr.iv.next5, 0
  br i1 %epil.iter.cmp.not, label %B482, label %B400.epil

B482:
  %.367 = add i64 %.163, %.pre
  %.368 = inttoptr i64 %.367 to ptr
  store i8 0, ptr %.368, align 1
  br label %B547

B547:
  %size.3.1 = phi i64 [ %.186, %B482 ], [ %size.2.0149, %B94 ]
  %.101 = icmp ugt i64 %.100134148, 1
  br i1 %.101, label %B94, label %common.ret

B328.endif:
  %18 = trunc i64 %.107136147 to i8
  %.216 = add i8 %18, 1
  %.218 = add i64 %size.2.0149, %.16
  %.219 = inttoptr i64 %.218 to ptr
  store i8 %.216, ptr %.219, align 1
  %.301130.not = icmp slt i64 %.163, 1
  %.pre = add i64 %.340, %size.2.0149
  br i1 %.301130.not, label %B482, label %B400.preheader

B400.preheader:
  %xtraiter = and i64 %.163, 3
  %19 = sub i64 %.149, %.161
  %20 = icmp ugt i64 %19, -4
  br i1 %20, label %B400.epil.preheader, label %B400.preheader.new

B400.preheader.new:
  %unroll_iter = and i64 %.163, 9223372036854775804
  br label %B400
}

define internal i32 @rehash.24(ptr %retptr, ptr %excinfo, i64 %arg.s, i64 %arg.table, i64 %arg.size) {
B0.endif:
  %.14 = shl i64 %arg.table, 3
  %.16 = add i64 %.14, %arg.s
  %.17 = add i64 %.16, 24
  %.18 = inttoptr i64 %.17 to ptr
  %.19 = load i64, ptr %.18, align 8
  %.24 = add i64 %.16, 16
  %.25 = inttoptr i64 %.24 to ptr
  %.26 = load i64, ptr %.25, align 8
  %.32 = inttoptr i64 %.16 to ptr
  %.33 = load i64, ptr %.32, align 8
  %.47 = add i64 %.16, 32
  %.48 = inttoptr i64 %.47 to ptr
  %.49 = load i64, ptr %.48, align 8
  %.50 = add nsw i64 %.49, -1
  %.58 = add i64 %.16, 56
  %.59 = inttoptr i64 %.58 to ptr
  %.60 = load i64, ptr %.59, align 8
  %.14286.not = icmp slt i64 %.60, 1
  br i1 %.14286.not, label %common.ret, label %B278.lr.ph

B278.lr.ph:
  %const = bitcast i64 -7046029254386353131 to i64
  %.184.not = icmp eq i64 %arg.size, 0
  br i1 %.184.not, label %B278.us.preheader, label %B478.preheader

B478.preheader:
  br label %B478

B278.us.preheader:
  br label %B278.us

B278.us:
  %.1488487.us = phi i64 [ %.155.us, %B656.us ], [ 0, %B278.us.preheader ]
  %.155.us = add nuw nsw i64 %.1488487.us, 1
  %.223.us = shl i64 %.1488487.us, 3
  %.224.us = add i64 %.223.us, %.26
  %.225.us = inttoptr i64 %.224.us to ptr
  %.226.us = load i64, ptr %.225.us, align 8
  %.228.us = add nsw i64 %.226.us, %.33
  %sunkaddr = inttoptr i64 %.26 to ptr
  %sunkaddr10 = mul i64 %.1488487.us, 8
  %sunkaddr11 = getelementptr i8, ptr %sunkaddr, i64 %sunkaddr10
  %sunkaddr12 = getelementptr i8, ptr %sunkaddr11, i64 8
  %.235.us = load i64, ptr %sunkaddr12, align 8
  %.242.us = sub nsw i64 %.235.us, %.226.us
  %.18.i = mul i64 %.242.us, %const
  %.25.i = icmp sgt i64 %.242.us, 7
  br i1 %.25.i, label %B72.preheader.i, label %B46.i.i

B72.preheader.i:
  %0 = add nsw i64 %.242.us, -8
  %1 = and i64 %0, 8
  %lcmp.mod.not.not.i = icmp eq i64 %1, 0
  br i1 %lcmp.mod.not.not.i, label %B72.prol.loopexit.i, label %B72.i.preheader

B72.prol.loopexit.i:
  %.28.prol.i = inttoptr i64 %.228.us to ptr
  %.29.prol.i = load i64, ptr %.28.prol.i, align 1
  %.31.prol.i = xor i64 %.29.prol.i, %.18.i
  %.32.prol.i = mul i64 %.31.prol.i, %const
  %.33.prol.i = lshr i64 %.32.prol.i, 29
  %.34.prol.i = xor i64 %.33.prol.i, %.32.prol.i
  %.40.prol.i = add nsw i64 %.228.us, 8
  %2 = icmp ult i64 %.242.us, 16
  br i1 %2, label %B46.i.i, label %B72.i.preheader

B72.i.preheader:
  %a.2.0.i.ph = phi i64 [ %.228.us, %B72.preheader.i ], [ %.40.prol.i, %B72.prol.loopexit.i ]
  %n.2.0.i.ph = phi i64 [ %.242.us, %B72.preheader.i ], [ %0, %B72.prol.loopexit.i ]
  %found.4.0.i.ph = phi i64 [ %.18.i, %B72.preheader.i ], [ %.34.prol.i, %B72.prol.loopexit.i ]
  br label %B72.i

B72.i:
  %a.2.0.i = phi i64 [ %6, %B72.i ], [ %a.2.0.i.ph, %B72.i.preheader ]
  %n.2.0.i = phi i64 [ %.42.1.i, %B72.i ], [ %n.2.0.i.ph, %B72.i.preheader ]
  %found.4.0.i = phi i64 [ %.34.1.i, %B72.i ], [ %found.4.0.i.ph, %B72.i.preheader ]
  %.28.i = inttoptr i64 %a.2.0.i to ptr
  %.29.i = load i64, ptr %.28.i, align 1
  %.31.i = xor i64 %.29.i, %found.4.0.i
  %.32.i = mul i64 %.31.i, %const
  %.33.i = lshr i64 %.32.i, 29
  %3 = add i64 %a.2.0.i, 8
  %.28.1.i = inttoptr i64 %3 to ptr
  %.29.1.i = load i64, ptr %.28.1.i, align 1
  %4 = xor i64 %.29.1.i, %.33.i
  %.31.1.i = xor i64 %4, %.32.i
  %.32.1.i = mul i64 %.31.1.i, %const
  %.33.1.i = lshr i64 %.32.1.i, 29
  %.34.1.i = xor i64 %.33.1.i, %.32.1.i
  %.42.1.i = add nsw i64 %n.2.0.i, -16
  %5 = add i64 %a.2.0.i, 16
  %.51.1.i = icmp ugt i64 %.42.1.i, 7
  %6 = add i64 %3, 8
  br i1 %.51.1.i, label %B72.i, label %B46.i.i

B46.i.i:
  %a.3.1.i = phi i64 [ %.228.us, %B278.us ], [ %.40.prol.i, %B72.prol.loopexit.i ], [ %5, %B72.i ]
  %n.3.1.i = phi i64 [ %.242.us, %B278.us ], [ %0, %B72.prol.loopexit.i ], [ %.42.1.i, %B72.i ]
  %found.5.1.i = phi i64 [ %.18.i, %B278.us ], [ %.34.prol.i, %B72.prol.loopexit.i ], [ %.34.1.i, %B72.i ]
  %.23.i.i = icmp slt i64 %n.3.1.i, 1
  br i1 %.23.i.i, label %B478.us, label %B98.i.i

B98.i.i:
  %.32.i.i = inttoptr i64 %a.3.1.i to ptr
  %.33.i.i = load i64, ptr %.32.i.i, align 1
  %.37.i.i = shl nuw nsw i64 %n.3.1.i, 3
  %.40.i.i = sub nuw nsw i64 64, %.37.i.i
  %.41.i.i = lshr i64 -1, %.40.i.i
  %.42.i.i = and i64 %.33.i.i, %.41.i.i
  %7 = xor i64 %.42.i.i, %found.5.1.i
  br label %B478.us

B478.us:
  %.42.sink.i.i = phi i64 [ %7, %B98.i.i ], [ %found.5.1.i, %B46.i.i ]
  %.96.i = mul i64 %.42.sink.i.i, %const
  %.97.i = lshr i64 %.96.i, 32
  %.98.i = xor i64 %.97.i, %.96.i
  %.272.us = and i64 %.98.i, %.50
  %.282.us = shl i64 %.272.us, 2
  %.283.us = add i64 %.282.us, %.19
  %.284.us = inttoptr i64 %.283.us to ptr
  %.285.us = load i32, ptr %.284.us, align 4
  %.287.not.us = icmp eq i32 %.285.us, 0
  br i1 %.287.not.us, label %B656.us, label %B600.us.preheader

B600.us.preheader:
  br label %B600.us

B600.us:
  %at.2.1.us = phi i64 [ %.292.us, %B600.us ], [ %.272.us, %B600.us.preheader ]
  %.290.us = add nsw i64 %at.2.1.us, 1
  %.292.us = and i64 %.290.us, %.50
  %.298.us = shl i64 %.292.us, 2
  %.299.us = add i64 %.298.us, %.19
  %.300.us = inttoptr i64 %.299.us to ptr
  %.301.us = load i32, ptr %.300.us, align 4
  %.303.not.us = icmp eq i32 %.301.us, 0
  br i1 %.303.not.us, label %B656.us, label %B600.us

B656.us:
  %.316.us.pre-phi = phi ptr [ %.284.us, %B478.us ], [ %.300.us, %B600.us ]
  %8 = trunc i64 %.1488487.us to i32
  %.313.us = add i32 %8, 1
  store i32 %.313.us, ptr %.316.us.pre-phi, align 4
  %exitcond97.not = icmp eq i64 %.155.us, %.60
  br i1 %exitcond97.not, label %common.ret, label %B278.us

B478:
  %.1488487 = phi i64 [ %.155, %B656 ], [ 0, %B478.preheader ]
  %.155 = add nuw nsw i64 %.1488487, 1
  %.189 = shl nsw i64 %.1488487, 6
  %.191 = add nsw i64 %.189, %.33
  %.133.i = inttoptr i64 %.191 to ptr
  %.134.i = load i64, ptr %.133.i, align 8
  %.137.i = mul i64 %.134.i, %const
  %.138.i = lshr i64 %.137.i, 29
  %.132.1.i = add i64 %.191, 8
  %.133.1.i = inttoptr i64 %.132.1.i to ptr
  %.134.1.i = load i64, ptr %.133.1.i, align 8
  %9 = xor i64 %.134.1.i, %.138.i
  %.136.1.i = xor i64 %9, %.137.i
  %.137.1.i = mul i64 %.136.1.i, %const
  %.138.1.i = lshr i64 %.137.1.i, 29
  %.132.2.i = add i64 %.191, 16
  %.133.2.i = inttoptr i64 %.132.2.i to ptr
  %.134.2.i = load i64, ptr %.133.2.i, align 8
  %10 = xor i64 %.134.2.i, %.138.1.i
  %.136.2.i = xor i64 %10, %.137.1.i
  %.137.2.i = mul i64 %.136.2.i, %const
  %.138.2.i = lshr i64 %.137.2.i, 29
  %.132.3.i = add i64 %.191, 24
  %.133.3.i = inttoptr i64 %.132.3.i to ptr
  %.134.3.i = load i64, ptr %.133.3.i, align 8
  %11 = xor i64 %.134.3.i, %.138.2.i
  %.136.3.i = xor i64 %11, %.137.2.i
  %.137.3.i = mul i64 %.136.3.i, %const
  %.138.3.i = lshr i64 %.137.3.i, 29
  %.132.4.i = add i64 %.191, 32
  %.133.4.i = inttoptr i64 %.132.4.i to ptr
  %.134.4.i = load i64, ptr %.133.4.i, align 8
  %12 = xor i64 %.134.4.i, %.138.3.i
  %.136.4.i = xor i64 %12, %.137.3.i
  %.137.4.i = mul i64 %.136.4.i, %const
  %.138.4.i = lshr i64 %.137.4.i, 29
  %.132.5.i = add i64 %.191, 40
  %.133.5.i = inttoptr i64 %.132.5.i to ptr
  %.134.5.i = load i64, ptr %.133.5.i, align 8
  %13 = xor i64 %.134.5.i, %.138.4.i
  %.136.5.i = xor i64 %13, %.137.4.i
  %.137.5.i = mul i64 %.136.5.i, %const
  %.138.5.i = lshr i64 %.137.5.i, 29
  %.132.6.i = add i64 %.191, 48
  %.133.6.i = inttoptr i64 %.132.6.i to ptr
  %.134.6.i = load i64, ptr %.133.6.i, align 8
  %14 = xor i64 %.134.6.i, %.138.5.i
  %.136.6.i = xor i64 %14, %.137.5.i
  %.137.6.i = mul i64 %.136.6.i, %const
  %.138.6.i = lshr i64 %.137.6.i, 29
  %.139.6.i = xor i64 %.138.6.i, %.137.6.i
  %.150.i = lshr i64 %.139.6.i, 32
  %.152.i = xor i64 %.150.i, %.139.6.i
  %.272 = and i64 %.152.i, %.50
  %.282 = shl i64 %.272, 2
  %.283 = add i64 %.282, %.19
  %.284 = inttoptr i64 %.283 to ptr
  %.285 = load i32, ptr %.284, align 4
  %.287.not = icmp eq i32 %.285, 0
  br i1 %.287.not, label %B656, label %B600.preheader

B600.preheader:
  br label %B600

B600:
  %at.2.1 = phi i64 [ %.292, %B600 ], [ %.272, %B600.preheader ]
  %.290 = add nsw i64 %at.2.1, 1
  %.292 = and i64 %.290, %.50
  %.298 = shl i64 %.292, 2
  %.299 = add i64 %.298, %.19
  %.300 = inttoptr i64 %.299 to ptr
  %.301 = load i32, ptr %.300, align 4
  %.303.not = icmp eq i32 %.301, 0
  br i1 %.303.not, label %B656, label %B600

B656:
  %.316.pre-phi = phi ptr [ %.284, %B478 ], [ %.300, %B600 ]
  %15 = trunc i64 %.1488487 to i32
  %.313 = add i32 %15, 1
  store i32 %.313, ptr %.316.pre-phi, align 4
  %exitcond.not = icmp eq i64 %.155, %.60
  br i1 %exitcond.not, label %common.ret, label %B478

common.ret:
  %sunkaddr13 = inttoptr i64 %arg.s to ptr
  %sunkaddr14 = mul i64 %arg.table, 8
  %sunkaddr15 = getelementptr i8, ptr %sunkaddr13, i64 %sunkaddr14
  %sunkaddr16 = getelementptr i8, ptr %sunkaddr15, i64 56
  %.343 = load i64, ptr %sunkaddr16, align 8
  store i64 %.343, ptr %retptr, align 8
  ret i32 0
}

define i64 @scan(i64 %0, i64 %1, i64 %2) {
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @scan.0(ptr %result, ptr %error, i64 %0, i64 %1, i64 %2)
  %value = load i64, ptr %result
  ret i64 %value
}

define i64 @rehash(i64 %0, i64 %1, i64 %2) {
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @rehash.24(ptr %result, ptr %error, i64 %0, i64 %1, i64 %2)
  %value = load i64, ptr %result
  ret i64 %value
}
